"""Every config file is composed and instantiated; every target has the keys it is given."""

import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf
from pytorch_lightning.strategies import StrategyRegistry

from instseg.app.build_model import build_model, remedy_of_training
from instseg.app.build_trainer import build_trainer
from instseg.app.check_config import checked_run_config
from instseg.app.check_lightning import STRATEGIES
from instseg.app.check_machine import checked_for_this_machine
from instseg.app.check_parts import check_parts
from instseg.app.check_places import check_run_places
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.config import RunConfig
from instseg.app.earlier_run import of_earlier_run
from instseg.app.instantiate import build, build_call
from instseg.app.read_config import read_config
from instseg.app.run import run
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.data import sources
from instseg.data.formats import auto
from instseg.data.reading.label_rules import RULE_OPTIONS
from instseg.data.reading.readers import make_reader
from instseg.data.transforms.augmentation import Augmentation
from instseg.distributed.rank_launcher import RankCommand
from instseg.models.weight_downloads import WeightsUnavailableError
from instseg.runs.folders import find_checkpoint

CHOSEN_TOGETHER = (
    "dataset", "model", "optimizer", "scheduler", "augmentation", "trainer", "callbacks", "logger", "metrics"
)  # fmt: skip
CHOSEN_ALONE = ("experiment", "debug")  # these choose options of the other groups
OF_HYDRA = ("sweep", "launcher")
LOGGERS_OF_EXTRAS = ("wandb", "mlflow")


def options_of(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def rows() -> list[tuple[str, ...]]:
    """Overrides that choose every option of every group at least once, in few configs: composing takes long."""
    alone = [(f"{group}={name}",) for group in CHOSEN_ALONE for name in options_of(group)]
    return [*side_by_side(CHOSEN_TOGETHER), *side_by_side(OF_HYDRA), *alone]


def side_by_side(groups: Sequence[str]) -> list[tuple[str, ...]]:
    columns = [[f"{group}={name}" for name in options_of(group)] for group in groups]
    return [tuple(column[row % len(column)] for column in columns) for row in range(max(map(len, columns)))]


ROWS = rows()


@cache
def composed_once(name: str, overrides: tuple[str, ...]):
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def composed(tmp_path, *overrides: str, name: str = "train"):
    config = deepcopy(composed_once(name, overrides))
    if name == "train":
        OmegaConf.update(config, "run_dir", str(tmp_path))
    return config


def composed_whole(tmp_path: Path, *overrides: str):
    """The config with what a user must add to it."""
    config = composed(tmp_path, *overrides)
    for key in OmegaConf.missing_keys(config):
        OmegaConf.update(config, key, "somewhere")
    return config


def with_option(group: str, name: str, tmp_path: Path, **changes: str):
    """A config in which this option is chosen, on the CPU, with dotted keys (``__`` for the dot) changed."""
    config = composed_whole(tmp_path, *next(row for row in ROWS if f"{group}={name}" in row))
    for key, value in {"trainer.accelerator": "cpu", "trainer.devices": 1, **changes}.items():
        OmegaConf.update(config, key.replace("__", "."), value, merge=False)
    return config


def changed(config, changes: list[str]):
    OmegaConf.set_struct(config, False)
    return OmegaConf.merge(config, OmegaConf.from_dotlist(changes))


def test_no_group_is_forgotten():
    groups = {path.parent.name for path in CONFIG_DIR.glob("*/*.yaml")}
    assert groups == {*CHOSEN_TOGETHER, *OF_HYDRA, *CHOSEN_ALONE, "writers"}  # the last is composed with predict.yaml


def missing_for(row: tuple[str, ...]) -> str:
    """What the error says that this machine lacks for the options; empty where it lacks nothing."""
    for name in LOGGERS_OF_EXTRAS:
        if f"logger={name}" in row and find_spec(name) is None:
            return rf"pip install \"instseg\[{name}\]\""
    return "finds no GPU" if "trainer=gpu" in row and not torch.cuda.is_available() else ""


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_every_option_composes_and_passes_the_checks(row, tmp_path):
    config = composed_whole(tmp_path, *row)
    with pytest.raises(InstsegError, match=missing) if (missing := missing_for(row)) else nullcontext():
        checked_for_this_machine(config)
    OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize("name", options_of("model"))
def test_every_model_is_built(name, tmp_path):
    config = with_option("model", name, tmp_path, model__weights="none", model__norm="gn")
    without = name == "timm_fpn" and find_spec("timm") is None
    with pytest.raises(InstsegError, match=r"pip install \"instseg\[timm\]\"") if without else nullcontext():
        with torch.device("meta"):  # without numbers to draw
            model = build_model(read_config(config, RunConfig).model, Categories(("car", "person")))
        assert model.roi_heads.box_predictor.cls_score.out_features == 3


@pytest.mark.parametrize("name", options_of("dataset"))
def test_every_dataset_has_a_reader_that_takes_its_options(name, tmp_path):
    config = with_option("dataset", name, tmp_path)
    if "reader" in config.dataset:
        options = build({**read_config(config, RunConfig).dataset, "_target_": "builtins.dict"})
        shared = {*inspect.signature(sources.folder).parameters, *sources.SHARED_OPTIONS, *RULE_OPTIONS}
        own = {key: value for key, value in options.items() if key not in shared}
        assert make_reader(options["reader"], tmp_path, own, tmp_path).root == tmp_path
    else:
        target = get_method(config.dataset._target_)
        assert target in (sources.shapes, sources.coco4, sources.openimages)


@pytest.mark.parametrize("name", options_of("augmentation"))
def test_every_augmentation_is_built(name, tmp_path):
    config = with_option("augmentation", name, tmp_path)
    assert isinstance(instantiate(config.augmentation, _convert_="all"), Augmentation)


@pytest.mark.parametrize("group", ["optimizer", "scheduler"])
def test_every_optimizer_and_scheduler_runs_a_step(group, tmp_path):
    for name in options_of(group):
        config = with_option(group, name, tmp_path)
        network = torch.nn.Linear(2, 1)
        optimizer = instantiate(config.optimizer, _convert_="all")(network, 4)
        scheduler = instantiate(config.scheduler, _convert_="all")(optimizer, 100)
        network(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("group", ["trainer", "callbacks", "logger"])
def test_every_trainer_is_built_with_its_callbacks_and_loggers(group, tmp_path):
    for name in (option for option in options_of(group) if option != "gpu"):
        config = with_option(group, name, tmp_path, **({} if group == "logger" else {"logger": {}}))
        if name not in LOGGERS_OF_EXTRAS or find_spec(name):
            build_trainer(of_earlier_run(read_config(config, RunConfig)), RankCommand(lambda rank: []))


def test_every_strategy_of_lightning_is_known():
    assert set(STRATEGIES) == {"auto", *StrategyRegistry.available_strategies()}


def test_several_loggers_are_built_at_once(tmp_path):
    config = composed(tmp_path, "logger=[tensorboard,csv]", "trainer.accelerator=cpu", "trainer.devices=1")
    loggers = build_trainer(of_earlier_run(read_config(config, RunConfig)), RankCommand(lambda rank: [])).loggers
    assert [type(logger).__name__ for logger in loggers] == ["TensorBoard", "CSVLogger"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["augmentation.min_size=2000", "augmentation.max_size=1000"], "min_size=2000"),
        (["model.weights=coco"], "no such weights are published"),
        (["model.backbone=resnet51"], "resnet51"),
        (["model.rpn.tpyo=1"], "tpyo"),
        (["optimizer.lr_scaling=cubic"], "lr_scaling=cubic"),
        (["optimizer.betas=[2,3]"], "optimizer: build_adamw refuses its options: Invalid beta parameter at index 0: 2"),
    ],
)
def test_a_part_that_cannot_be_built_stops_before_any_data_is_touched(changes, message, tmp_path):
    with pytest.raises(InstsegError, match=message):
        check_parts(read_config(changed(composed(tmp_path), changes), RunConfig))


def test_a_schedule_that_cannot_be_built_stops_as_early(tmp_path):
    config = with_option(
        "scheduler", "warmup_multistep", tmp_path, scheduler__milestones=[8, 11], model__weights="none"
    )
    with pytest.raises(InstsegError, match="s of the run"):
        check_parts(read_config(config, RunConfig))


def test_code_of_the_users_own_keeps_its_error():
    with pytest.raises(ValueError, match="invalid literal"):
        build_call({"_target_": "builtins.int", "_partial_": True}, "optimizer")("abc")


def test_the_learning_rate_of_an_experiment_does_not_outlive_its_optimizer(tmp_path):
    assert composed(tmp_path, "experiment=coco4").optimizer.lr == 1e-3
    assert composed(tmp_path, "experiment=coco4", "optimizer=adamw").optimizer.lr == 1e-4


@pytest.mark.parametrize("name", options_of("debug"))
def test_a_run_with_a_debug_option_does_not_become_the_latest(name, tmp_path):
    outputs = Path(composed(tmp_path, f"debug={name}").outputs)
    checkpoint = tmp_path / outputs / "shapes_small" / "2026-01-31_12-00-00" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    with pytest.raises(InstsegError, match="no run with a checkpoint"):
        find_checkpoint("latest", tmp_path / composed(tmp_path).outputs)


def test_predict_composes():
    config = composed(None, "source=photos", name="predict")
    assert config.score_threshold == "auto"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["optimizer.weight_decai=0.1"],
            r"optimizer\.weight_decai: there is no such key\. Did you mean .*weight_decay",
        ),
        (["bach_size=4"], "bach_size: there is no such key. Did you mean batch_size"),
        (["batch_size=two"], "batch_size=two: expected a whole number"),
        (["metrics.loss_mask={_target_: torchmetrics.MeanMetric}"], "metrics.loss_mask: expected .* val/loss_mask is"),
        (["trainer.devices=null"], r"trainer\.devices=null: expected a whole number from 1 upwards, or auto"),
        (["checkpoint=best.ckpt"], r"To resume its training use resume=best\.ckpt"),
        (["stage=test", "resume=auto"], "does not fit stage=test"),
        (["trainer.accelerator=cpu", "trainer.precision=16-mixed"], "needs a GPU"),
        (["trainer.accelerator=cpu", "model.norm=sync_bn"], "averages over GPUs"),
        (["callbacks.mine._target_=nowhere.Mine"], "callbacks.mine._target_=nowhere.Mine: cannot be imported"),
    ],
)
def test_what_cannot_work_stops_before_any_work_and_says_what_was_meant(changes, message, tmp_path):
    with pytest.raises(InstsegError, match=message):
        checked_for_this_machine(changed(composed(tmp_path), changes))


def test_weights_that_cannot_be_downloaded_are_answered_with_what_needs_none():
    ways = r"no network, with model.weights=PATH; .*model.weights=none, or model=small"
    with pytest.raises(InstsegError, match=ways), remedy_of_training():
        raise WeightsUnavailableError("no network")


class Code:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


FOREIGN = {
    "model.onnx": (b"\x08\x07\x12\x07pytorch:", "expected weights of torch.save or safetensors, found an ONNX model"),
    "page.pth": (b"<!DOCTYPE html><html>", "found a web page"),
    "code.pth": (Code(), r"refused, as it holds code, .*, which is never run"),
    "cut.pth": (b"PK\x03\x04", "cannot be read, most often because their download was cut short"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_weights_that_cannot_be_used_are_answered_before_the_data_are_touched(tmp_path, monkeypatch, name):
    content, message = FOREIGN[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    places = [f"model.weights={name}", f"cache_dir={tmp_path / 'cache'}", f"outputs={tmp_path / 'outputs'}"]
    config = changed(composed(tmp_path / "run", "dataset=shapes", "model=r18fpn", "trainer=cpu"), places)
    with pytest.raises(InstsegError, match=message):
        run(config)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["model.onnx", "page.pth"])
def test_weights_of_a_foreign_kind_are_answered_before_the_labels_are_recognised(tmp_path, monkeypatch, name):
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(auto, "recognise_format", lambda root: pytest.fail("the labels are read"))
    places = [f"dataset.root={tmp_path}", f"model.weights={tmp_path / name}"]
    config = changed(composed(tmp_path, "dataset=auto", "model=r18fpn"), places)
    with pytest.raises(InstsegError, match=message):
        check_run_places(checked_run_config(config))
