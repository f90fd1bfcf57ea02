"""One process or two, as a run, a sweep or by torchrun: fit, resume and test do the same, and write down one run.

All start from the weights of one short training, so that they find something: an AP of zero is equal everywhere.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from faults import FAULTS
from typed_commands import QUICK_FOR_ANY_NETWORK, Command, Done, train, train_as_ranks

from instseg.core.overrides import quoted

pytestmark = pytest.mark.timeout(900)  # the first test waits for all fits
ALIKE = (*QUICK_FOR_ANY_NETWORK, "model.norm=gn", "trainer.log_every_n_steps=1", "model.box.score_threshold=0")
TINY = (*ALIKE, "dataset.num_images={train: 4, val: 3, test: 5}", "scheduler=constant", "optimizer.lr=1e-5")
SINGLE = ("trainer=cpu", "batch_size=2")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "batch_size=1")
TO_THE_END = ("trainer.max_epochs=4",)  # of two steps each
CASES = [("run", 1), ("multirun", 1), ("run", 2), ("multirun", 2), ("torchrun", 2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """With characters that mean something to Hydra: every command here builds others, or is told of its folder."""
    return tmp_path_factory.mktemp("matrix") / "photos, new = [2] (May)"


@pytest.fixture(scope="module")
def weights(place):
    """A checkpoint that finds a few of the shapes."""
    outputs, images = place / "weights", "dataset.num_images={train: 48, val: 3, test: 3}"
    settings = (*ALIKE, images, "trainer=cpu", "batch_size=4", "scheduler=constant", "optimizer.lr=1e-3")
    train(*settings, quoted("outputs", outputs), quoted("cache_dir", place / "data"))
    (checkpoint,) = outputs.glob("*/2*/checkpoints/last.ckpt")
    return checkpoint


def arguments_of(place: Path, weights: Path, size: int, outputs: Path) -> list[str]:
    where = {"outputs": outputs, "cache_dir": place / "data", "model.weights": weights}
    return [*TINY, *(SINGLE if size == 1 else TWO), *(quoted(key, path) for key, path in where.items())]


def devices(size: int) -> list[str]:
    """What torchrun knows by itself."""
    return [f"trainer.devices={size}"] if size > 1 else []


def start(place: Path, weights: Path, launch: str, size: int, *arguments: str) -> Path:
    """Run one command; the folder that it wrote to, which is the only new one."""
    outputs = place / f"{launch}_{size}"
    known = set(outputs.glob("shapes_small/2*"))
    typed = [*arguments_of(place, weights, size, outputs), *arguments]
    if launch == "torchrun":
        done = train_as_ranks(size, *typed)
        assert [rank.code for rank in done] == [0] * size, done[0].output[-3000:] + done[-1].output[-3000:]
        assert not any(re.search("INFO|Average precision", rank.output) for rank in done[1:])
    else:
        done = [train(*typed, *devices(size), *(["seed=choice(0)", "-m"] if launch == "multirun" else []))]
    (folder,) = set(outputs.glob("shapes_small/2*")) - known or {said_folder(done[0])}
    return folder


def said_folder(done: Done) -> Path:
    return Path(re.findall(r"^(/.+/2\S+)$", done.output, re.M)[-1])


def metrics_of(run: Path, prefix: str = "") -> dict[str, float]:
    """All but what is measured time."""
    metrics = json.loads((run / "metrics.json").read_text())
    return {k: value for k, value in metrics.items() if k.startswith(prefix) and k != "images_per_second"}


def state_of(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def steps_of(run: Path) -> int:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def num_starts(run: Path) -> int:
    return len(json.loads((run / "manifest.json").read_text())["starts"])


def writers(run: Path) -> set[str]:
    """The processes whose TensorBoard files lie there: <time>.<host>.<process>.<number>."""
    return {path.name.split(".")[-2] for path in run.glob("events.out.tfevents.*")}


@pytest.fixture(scope="module")
def fitted(place, weights):
    """The folder of a run of one epoch, for each way of starting it."""
    return {case: start(place, weights, *case, "trainer.max_epochs=1") for case in CASES}


@pytest.fixture(scope="module")
def whole(place, weights):
    """The folder of a run that was never interrupted, for each number of processes."""
    return {size: start(place, weights, launch, size, *TO_THE_END) for launch, size in (("run", 1), ("torchrun", 2))}


def assert_same_end(run: Path, other: Path) -> None:
    assert steps_of(run) == steps_of(other) == 8
    assert metrics_of(run) == metrics_of(other)
    assert metrics_of(run)["test/segm_map"] > 0
    ours, theirs = state_of(run), state_of(other)
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize(("launch", "size"), CASES)
def test_a_fit_leaves_one_folder_with_one_of_everything(fitted, launch, size):
    run = fitted[launch, size]
    assert steps_of(run) == 2
    assert metrics_of(run)["val/segm_map"] > 0 and metrics_of(run)["test/segm_map"] > 0
    assert len(writers(run)) == 1
    assert num_starts(run) == 1


@pytest.mark.parametrize("size", [1, 2])
def test_how_a_training_is_started_changes_nothing_about_it(fitted, size):
    run, *others = (metrics_of(folder) for (_, of), folder in fitted.items() if of == size)
    assert others
    assert all(other == run for other in others)


@pytest.mark.parametrize(("launch", "size"), [case for case in CASES if case[0] != "multirun"])
def test_a_resumed_fit_keeps_its_folder_and_ends_like_one_that_was_not_interrupted(
    place, weights, fitted, whole, launch, size
):
    run = place / f"{launch}_{size}_resumed" / "shapes_small" / "2000-01-01"
    shutil.copytree(fitted[launch, size], run)
    assert start(place, weights, launch, size, *TO_THE_END, f"resume={run}") == run
    assert num_starts(run) == 2
    assert_same_end(run, whole[size])


def folder_with_callback(place: Path) -> Path:
    """Write the user's own group of callbacks: a sweep's record may choose it, and may not name what is called."""
    file = place / "conf" / "callbacks" / "interrupted.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("defaults: [default]\nfault: {_target_: faults.PressCtrlC, step: 1}\n")
    return place / "conf"


@pytest.mark.parametrize("size", [1, 2])
def test_a_sweep_that_was_interrupted_resumes_in_the_folder_of_its_job(place, weights, whole, size):
    outputs = place / f"interrupted_{size}"
    typed = [*arguments_of(place, weights, size, outputs), *devices(size), *TO_THE_END, "seed=choice(0)", "-m"]
    own_conf = f"--config-dir={folder_with_callback(place)}"
    assert Command([own_conf, *typed, "callbacks=interrupted"], FAULTS).wait().code == 130
    (sweep,) = outputs.glob("sweeps/2*")
    (run,) = outputs.glob("shapes_small/2*")
    assert steps_of(run) < 8
    done = Command([own_conf, f"resume={sweep}"], FAULTS).wait()
    assert done.code == 0, done.output[-3000:]
    assert num_starts(run) == 2
    assert_same_end(run, whole[size])


@pytest.mark.parametrize(("launch", "size"), CASES)
def test_a_checkpoint_measures_the_same_to_the_last_digit(place, weights, fitted, launch, size):
    """Five images on two ranks: no image counts twice. A mean of losses is added up in another order."""
    checkpoint = fitted["run", 1] / "checkpoints" / "best.ckpt"
    tested = start(place, weights, launch, size, "stage=test", quoted("checkpoint", checkpoint))
    here, there = metrics_of(tested, "test/"), metrics_of(fitted["run", 1], "test/")
    losses = {name for name in there if "/loss" in name}
    assert here.keys() == there.keys() and there["test/num_images"] == 5
    assert 0 < there["test/segm_map"] < 1 and 0 < there["test/bbox_map"] < 1
    assert {k: here[k] for k in here.keys() - losses} == {k: there[k] for k in there.keys() - losses}
    assert {k: here[k] for k in losses} == pytest.approx({k: there[k] for k in losses}, rel=1e-5)


def test_a_step_of_two_ranks_is_a_step_of_one_that_accumulates_their_images(place, weights):
    """With everything sampled, so that no random numbers are left; up to float rounding."""
    everything = ("model.rpn.batch_size_per_image=100000", "model.box.batch_size_per_image=100000", "optimizer=sgd")
    alike = (*everything, "trainer.max_epochs=2", "batch_size=1", "optimizer.lr=1e-2")
    one = start(place, weights, "run", 1, *alike, "trainer.accumulate_grad_batches=2")
    two = start(place, weights, "torchrun", 2, *alike)
    alone, together = state_of(one), state_of(two)
    begun = torch.load(weights, weights_only=True)["state_dict"]
    assert max((alone[key] - begun[key]).abs().max() for key in alone) > 1e-3, "two steps have moved the weights"
    assert max((alone[key] - together[key]).abs().max() for key in alone) < 1e-5
    assert metrics_of(one, "val/loss") == pytest.approx(metrics_of(two, "val/loss"), rel=1e-4)
