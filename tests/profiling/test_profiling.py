"""debug=profile: what a short training says about where its time goes."""

import json
import re
from dataclasses import replace
from io import StringIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning.profilers import PassThroughProfiler
from rich.console import Console

from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.build_model import build_model
from instseg.app.build_module import build_module
from instseg.app.build_trainer import build_trainer
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.config import RunConfig
from instseg.app.earlier_run import of_earlier_run
from instseg.app.read_config import read_config
from instseg.checkpoints.content import DescribeCheckpoint
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.distributed.rank_launcher import RankCommand
from instseg.profiling import measure
from instseg.profiling import profile as part
from instseg.profiling.callback import ProfileTraining, plan
from instseg.profiling.costs import costs
from instseg.profiling.parts import parts_of, time_parts
from instseg.profiling.profile import Profile
from instseg.profiling.recorder import IMAGE, STEP, Clock, Recorder
from instseg.profiling.report import print_profile

ONLY_IN_EVALUATION = {part.DETECTIONS, part.PASTE, part.UPDATE, part.COMPUTE}
ONLY_IN_TRAINING = {part.BACKWARD, part.OPTIMIZER}


def composed(folder: Path, *overrides: str):
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = compose("train", overrides=["debug=profile", *overrides])
    OmegaConf.update(config, "run_dir", str(folder))
    return config


def tiny(folder: Path, *overrides: str):
    images = f"dataset.num_images={{train: 12, val: 6, test: 2}} cache_dir={folder}/data"
    quick = "trainer.accelerator=cpu batch_size=2 num_workers=0 trainer.enable_progress_bar=false"
    return of_earlier_run(
        read_config(composed(folder, *re.split(r" (?=[\w.]+=)", images), *quick.split(), *overrides), RunConfig)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder, the module and the trainer of a profiled training of six steps, the way train.py builds it."""
    folder = tmp_path_factory.mktemp("profile")
    config = tiny(folder)
    data = build_datamodule(config, build_dataset(config))
    description = DescribeCheckpoint(data.categories, config.resolved, data.prepared.fingerprint)
    module = build_module(config, build_model(config.model, data.categories), description)
    trainer = build_trainer(config, RankCommand(lambda rank: []))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "SMALL", 0)  # whether a callback is small enough to be left out depends on the machine
        trainer.fit(module, datamodule=data)
    return SimpleNamespace(folder=folder, module=module, trainer=trainer)


@pytest.fixture(scope="module")
def numbers(run):
    return json.loads((run.folder / "profile.json").read_text())


@pytest.fixture
def parts(run) -> set[str]:
    """Names of everything that is timed of this network and its metrics."""
    return {name for _, name in parts_of(run.module)}


def timed_parts(seconds_of: dict[str, float]) -> set[str]:
    """Names of what took time, without the callbacks, which round to nothing on one machine and not on another."""
    timed = {name for name, seconds in seconds_of.items() if seconds > 0} - {part.OTHER, part.PICTURES}
    return {name for name in timed if not name.startswith("callback ")}


def test_every_part_of_the_network_has_its_time_in_a_training_step(numbers, parts):
    wanted = {part.DATA, part.COPY, *parts, *ONLY_IN_TRAINING} - ONLY_IN_EVALUATION
    assert wanted == timed_parts(numbers["step"])


def test_and_so_has_every_part_of_an_evaluation(numbers, parts):
    wanted = {part.DATA, part.COPY, *parts, *ONLY_IN_EVALUATION}
    assert wanted == timed_parts(numbers["image"])
    assert numbers["evaluation"][part.PICTURES] > 0
    assert numbers["checkpoints_seconds"] > 0


def test_steps_that_warm_up_or_are_traced_do_not_count(numbers):
    assert (numbers["num_steps"], numbers["num_images"]) == (2, 4)


def test_an_epoch_is_that_of_the_training_that_is_not_cut_short(tmp_path, numbers):
    assert (numbers["steps_per_epoch"], numbers["images_per_evaluation"]) == (6, 6)
    expected = 6 * numbers["step_seconds"] + numbers["evaluation_seconds"] + numbers["checkpoints_seconds"]
    assert numbers["epoch_seconds"] == pytest.approx(expected)
    assert sum(cost["fraction"] for cost in numbers["costs"]) == pytest.approx(1)


def test_the_trace_names_the_parts(run, parts):
    trace = json.loads((run.folder / "trace.json").read_text())
    names = [event["name"] for event in trace["traceEvents"] if event.get("cat") == "user_annotation"]
    assert names.count("training step") == names.count("evaluation step") == 2
    assert {part.DATA, part.BACKWARD, part.OPTIMIZER, *parts} - {part.COMPUTE} <= set(names)


def test_after_the_profile_everything_is_as_it_was(run):
    assert isinstance(run.trainer.profiler, PassThroughProfiler)
    assert "to_predictions" not in vars(run.module.model) and "losses" not in vars(run.module.model)
    assert not any("forward" in vars(submodule) for submodule in run.module.modules())
    assert "sample" not in vars(run.module.model.roi_heads)


@pytest.mark.parametrize(
    ("num_steps", "warmup", "expected"),
    [(40, 5, (5, 38)), (40, 16, (16, 38)), (40, 64, (19, 38)), (6, 5, (2, 4)), (2, 5, (1, 2)), (1, 5, (0, 1))],
)
def test_at_least_one_step_counts_however_few_there_are(num_steps, warmup, expected):
    assert plan(num_steps, warmup, traced_steps=2) == expected


def test_what_cannot_be_profiled_says_so(tmp_path):
    callback, trainer = ProfileTraining(tmp_path, 5, 2), SimpleNamespace(profiler=PassThroughProfiler())
    with pytest.raises(InstsegError, match="measures a training and the evaluation after it: leave out stage="):
        callback.setup(trainer, None, "test")
    with pytest.raises(InstsegError, match="leave out one of the two"):
        build_and_set_up(tiny(tmp_path, "trainer.profiler=simple"))


def build_and_set_up(config) -> None:
    trainer = build_trainer(config, RankCommand(lambda rank: []))
    (callback,) = (one for one in trainer.callbacks if isinstance(one, ProfileTraining))
    callback.setup(trainer, None, "fit")


def test_other_ranks_than_the_first_measure_and_write_nothing(tmp_path):
    callback = ProfileTraining(tmp_path, 5, 2)
    for hook in (callback.on_train_start, callback.on_fit_end):
        hook(SimpleNamespace(is_global_zero=False), None)
    assert not list(tmp_path.iterdir())


class Ticks(Clock):
    """A clock that is a second later whenever it is asked."""

    def __init__(self) -> None:
        self._now = count()

    def mark(self) -> float:
        return float(next(self._now))


def recorder(counts=lambda kind, number: True) -> Recorder:
    return Recorder(Ticks(), counts, lambda: False)


def test_a_part_does_not_count_the_parts_within_it():
    record = recorder()
    record.cut(STEP)  # from 0
    with record.range("outer"), record.range("inner"):  # from 1 and 2, to 4 and 3
        pass
    record.cut(IMAGE)  # at 5
    (step, _) = record.spans
    assert record.seconds([step]) == {"outer": 2, "inner": 1, part.OTHER: 2}


def test_a_step_runs_from_one_wait_for_data_to_the_next():
    record = recorder(lambda kind, number: number > 0)
    for action in ("[_TrainingEpochLoop].train_dataloader_next", "[Strategy]DDPStrategy.backward") * 2:
        with record.profile(action):
            pass
    assert [(span.kind, span.counts) for span in record.spans] == [(STEP, False), (STEP, True)]
    assert record.seconds(record.spans[:1]) == {part.DATA: 1, part.BACKWARD: 1, part.OTHER: 3}


def test_nothing_before_the_first_step_is_recorded():
    record = recorder()
    with record.profile("[Strategy]SingleDeviceStrategy.batch_to_device"):
        pass
    assert not record.spans and not record.ranges


def test_on_a_gpu_the_times_are_those_of_its_own_events(monkeypatch):
    clock = iter((10.0, 35.0))  # ms

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.ms = next(clock)

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, end: "Event") -> float:
            return end.ms - self.ms

    monkeypatch.setattr(torch.cuda, "Event", Event)
    gpu = Clock(torch.device("cuda"))
    assert gpu.seconds(gpu.mark(), gpu.mark()) == pytest.approx(0.025)


def test_a_compiled_part_is_timed_around_its_compiled_code(tmp_path):
    config = tiny(tmp_path)
    module = build_module(config, build_model(config.model, Categories(("car",))))
    module.model.rpn.head._compiled_call_impl = lambda levels: levels  # what module.compile() sets
    record = recorder()
    with time_parts(module, record):
        record.cut(STEP)
        assert module.model.rpn.head("seen") == "seen"
    assert [item.name for item in record.ranges] == [part.RPN_HEAD]


PROFILE = Profile(
    device="a processor", on_gpu=False, precision="32-true", num_workers=1, num_cores=4, images_per_step=2.0,
    num_processes=1, num_steps=30, step={part.DATA: 0.4, part.BACKBONE: 0.2, part.BACKWARD: 0.39, part.OTHER: 0.01},
    num_images=10, image={part.DATA: 0.1, part.BACKBONE: 0.3}, evaluation={part.PICTURES: 1.0},
    checkpoints_seconds=1.0, steps_per_epoch=100, images_per_evaluation=20, peak_bytes={"in training": 10**9},
)  # fmt: skip


def hint(profile: Profile, name: str) -> str:
    (found,) = (cost.hint for cost in costs(profile) if cost.name == name)
    return found


def test_what_takes_longest_comes_first_and_evaluation_is_one_thing():
    names = [cost.name for cost in costs(PROFILE)]
    assert names[:4] == [
        part.DATA,
        "backward: the gradients of the whole network",
        "forward: backbone and FPN",
        "evaluation",
    ]
    assert hint(PROFILE, part.OTHER) == "little to gain here"


def test_waiting_for_data_asks_for_loader_processes_while_there_are_cores():
    assert "num_workers=2 (now 1; 4 cores)" in hint(PROFILE, part.DATA)
    assert "smaller copies of the images" in hint(replace(PROFILE, num_workers=4), part.DATA)


def test_half_precision_is_advised_where_it_helps():
    backward = "backward: the gradients of the whole network"
    assert "bf16" not in hint(PROFILE, backward)
    assert "trainer.precision=bf16-mixed" in hint(replace(PROFILE, on_gpu=True), backward)
    assert "bf16" not in hint(replace(PROFILE, on_gpu=True, precision="bf16-mixed"), backward)


def test_a_long_evaluation_names_what_it_mostly_is():
    assert "most of it: forward; less often" in hint(PROFILE, "evaluation")
    assert hint(replace(PROFILE, evaluation={part.PICTURES: 9.0}), "evaluation").endswith(
        "callbacks.pictures.num_images"
    )


def test_every_key_that_a_hint_names_exists():
    config = composed(Path())
    profiles = (PROFILE, replace(PROFILE, on_gpu=True, num_workers=4))
    parts = [value for name, value in vars(part).items() if name.isupper() and isinstance(value, str)]
    told = [
        cost.hint
        for profile in profiles
        for name in parts
        for cost in costs(replace(profile, step={name: 1.0}, image={name: 1.0}, checkpoints_seconds=100.0))
    ]
    keys = set(re.findall(r"\b[a-z]\w*(?:\.\w+)+|\w+(?==)|batch_size", " ".join(told)))
    assert {"num_workers", "trainer.check_val_every_n_epoch", "model.box.batch_size_per_image"} <= keys
    assert not {key for key in keys if OmegaConf.select(config, key, default="absent") == "absent"}


def test_the_screen_shows_both_tables_and_the_five_costs_within_80_columns():
    text = StringIO()
    print_profile(PROFILE, Console(file=text, width=80))
    assert "Training step: 1 s for 2 images, 2 images/s" in text.getvalue()
    assert "An epoch of this training takes about 1.83 min" not in text.getvalue()  # below two minutes, in seconds
    assert re.search(r"1\.\s+36%\s+waiting for data, 40 s", text.getvalue())
    assert max(map(len, text.getvalue().splitlines())) <= 80
