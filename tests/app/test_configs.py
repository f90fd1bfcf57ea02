"""Every config file is composed and instantiated; every target has the keys it is given."""

import inspect
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

from instseg.app.build_model import build_model
from instseg.app.build_trainer import build_trainer
from instseg.app.check_machine import checked_for_this_machine
from instseg.app.check_parts import check_parts
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.config import read_run_config
from instseg.app.instantiate import build
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.data import sources
from instseg.data.reading.label_rules import RULE_OPTIONS
from instseg.data.reading.readers import make_reader
from instseg.data.transforms.augmentation import Augmentation
from instseg.distributed.rank_launcher import RankCommand
from instseg.runs.folders import find_checkpoint

OTHERS = {"hydra", "writers"}  # writers are a group of predict.yaml, and are composed with it
GROUPED = sorted(p.relative_to(CONFIG_DIR) for p in CONFIG_DIR.glob("*/*.yaml") if p.parent.name not in OTHERS)


@cache
def composed_once(name: str, overrides: tuple[str, ...]):
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def composed(tmp_path, *overrides: str, name: str = "train"):
    config = deepcopy(composed_once(name, overrides))
    if name == "train":
        OmegaConf.update(config, "run_dir", str(tmp_path))
    return config


def option(path: Path) -> str:
    return f"{path.parent}={path.stem}"


def composed_whole(path: Path, tmp_path: Path):
    """The config with this option, and with what a user must add to it."""
    config = composed(tmp_path, option(path))
    for key in OmegaConf.missing_keys(config):
        OmegaConf.update(config, key, "somewhere")
    return config


@pytest.mark.parametrize("path", GROUPED, ids=str)
def test_every_option_composes_and_passes_the_checks(path, tmp_path):
    config = composed_whole(path, tmp_path)
    if path.stem == "gpu" and not torch.cuda.is_available():
        with pytest.raises(InstsegError, match="finds no GPU"):
            checked_for_this_machine(config)
    else:
        checked_for_this_machine(config)
    OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize("path", [p for p in GROUPED if str(p.parent) == "model"], ids=lambda p: p.stem)
def test_every_model_is_built(path, tmp_path):
    config = composed(tmp_path, option(path), "model.weights=none", "model.norm=gn")
    model = build_model(read_run_config(config).model, Categories(("car", "person")))
    assert model.roi_heads.box_predictor.cls_score.out_features == 3


@pytest.mark.parametrize("path", [p for p in GROUPED if str(p.parent) == "dataset"], ids=lambda p: p.stem)
def test_every_dataset_has_a_reader_that_takes_its_options(path, tmp_path):
    config = composed_whole(path, tmp_path)
    if "reader" in config.dataset:
        options = build({**read_run_config(config).dataset, "_target_": "builtins.dict"})
        shared = {*inspect.signature(sources.folder).parameters, *sources.SHARED_OPTIONS, *RULE_OPTIONS}
        own = {key: value for key, value in options.items() if key not in shared}
        assert make_reader(options["reader"], tmp_path, own, tmp_path).root == tmp_path
    else:
        target = get_method(config.dataset._target_)
        assert target in (sources.shapes, sources.coco4, sources.openimages)


@pytest.mark.parametrize("path", [p for p in GROUPED if str(p.parent) == "augmentation"], ids=lambda p: p.stem)
def test_every_augmentation_is_built(path, tmp_path):
    config = composed(tmp_path, option(path))
    assert isinstance(instantiate(config.augmentation, _convert_="all"), Augmentation)


@pytest.mark.parametrize("group", ["optimizer", "scheduler"])
def test_every_optimizer_and_scheduler_runs_a_step(group, tmp_path):
    for path in (p for p in GROUPED if str(p.parent) == group):
        config = composed(tmp_path, option(path))
        network = torch.nn.Linear(2, 1)
        optimizer = instantiate(config.optimizer, _convert_="all")(network, 4)
        scheduler = instantiate(config.scheduler, _convert_="all")(optimizer, 100)
        network(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("group", ["trainer", "callbacks", "logger"])
def test_every_trainer_is_built_with_its_callbacks_and_loggers(group, tmp_path):
    for path in (p for p in GROUPED if str(p.parent) == group and p.stem != "gpu"):
        config = composed(tmp_path, option(path), "trainer.accelerator=cpu", "trainer.devices=1")
        missing = [name for name in ("wandb", "mlflow") if path.stem == name and find_spec(name) is None]
        with pytest.raises(InstsegError, match=f"pip install {path.stem}") if missing else nullcontext():
            build_trainer(read_run_config(config), RankCommand(lambda rank: []))


def test_several_loggers_are_built_at_once(tmp_path):
    config = composed(tmp_path, "logger=[tensorboard,csv]", "trainer.accelerator=cpu", "trainer.devices=1")
    loggers = build_trainer(read_run_config(config), RankCommand(lambda rank: [])).loggers
    assert [type(logger).__name__ for logger in loggers] == ["TensorBoard", "CSVLogger"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["augmentation.min_size=2000", "augmentation.max_size=1000"], "min_size=2000"),
        (["model.weights=coco", "model=r18fpn"], "no such weights are published"),
        (["model.backbone=resnet51"], "resnet51"),
        (["+model.rpn.tpyo=1"], "tpyo"),
        (["optimizer.lr_scaling=cubic"], "lr_scaling=cubic"),
        (["scheduler=warmup_multistep", "scheduler.milestones=[8,11]"], "s of the run"),
    ],
)
def test_a_part_that_cannot_be_built_stops_before_any_data_is_touched(overrides, message, tmp_path):
    with pytest.raises(InstsegError, match=message):
        check_parts(read_run_config(composed(tmp_path, *overrides)))


def test_the_learning_rate_of_an_experiment_does_not_outlive_its_optimizer(tmp_path):
    assert composed(tmp_path, "experiment=coco4").optimizer.lr == 1e-3
    assert composed(tmp_path, "experiment=coco4", "optimizer=adamw").optimizer.lr == 1e-4


@pytest.mark.parametrize("debug", [path for path in GROUPED if path.parent.name == "debug"], ids=str)
def test_a_run_with_a_debug_option_does_not_become_the_latest(debug, tmp_path):
    outputs = Path(composed(tmp_path, option(debug)).outputs)
    checkpoint = tmp_path / outputs / "shapes_small" / "2026-01-31_12-00-00" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    with pytest.raises(InstsegError, match="no run with a checkpoint"):
        find_checkpoint("latest", tmp_path / composed(tmp_path).outputs)


def test_predict_composes():
    config = composed(None, "source=photos", name="predict")
    assert config.score_threshold == 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stage=tset"], "stage=tset: expected one of fit, validate, test"),
        (
            ["+optimizer.weight_decai=0.1"],
            r"optimizer\.weight_decai: there is no such key\. Did you mean .*weight_decay",
        ),
        (["+bach_size=4"], "bach_size: there is no such key. Did you mean batch_size"),
        (["batch_size=0"], "batch_size=0: expected a whole number from 1 upwards"),
        (["batch_size=two"], "batch_size=two: expected a whole number"),
        (["seed=-1"], "seed=-1: expected a whole number from 0 to 4294967295"),
        (["+metrics.loss_mask={_target_: torchmetrics.MeanMetric}"], "metrics.loss_mask: expected .* val/loss_mask is"),
        (["train_fraction=0"], "train_fraction=0: expected a number above 0 and up to 1"),
        (["trainer.devices=null"], r"trainer\.devices=None: expected a whole number or a text or a list"),
        (["num_workers=many"], "num_workers=many: expected a whole number from 0 upwards, or auto"),
        (["dataset=coco"], r"a value is needed for dataset\.root"),
        (["checkpoint=best.ckpt"], r"To resume its training use resume=best\.ckpt"),
        (["stage=test", "resume=auto"], "does not fit stage=test"),
        (["trainer=cpu", "trainer.precision=16-mixed"], "needs a GPU"),
        (["trainer=cpu", "model.norm=sync_bn"], "averages over GPUs"),
        (["+callbacks.mine._target_=nowhere.Mine"], "callbacks.mine._target_=nowhere.Mine: cannot be imported"),
    ],
)
def test_what_cannot_work_stops_before_any_work_and_says_what_was_meant(overrides, message, tmp_path):
    with pytest.raises(InstsegError, match=message):
        checked_for_this_machine(composed(tmp_path, *overrides))
