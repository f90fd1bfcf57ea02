"""Stop before any work when a config cannot run: misspelt keys, values out of range, impossible combinations."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from instseg.core.errors import InstsegError
from instseg.prediction.writers.choice import checked_names

STAGES = ("fit", "validate", "test", "audit", "show_augmentation")
MEASURING = ("validate", "test")
TOP_LEVEL = (
    "dataset", "model", "optimizer", "scheduler", "augmentation", "trainer", "metrics", "callbacks", "logger", "stage",
    "checkpoint", "resume", "reproduce", "retry_failed", "batch_size", "num_workers", "compile", "train_share",
    "overfit_images", "seed", "monitor", "audit", "outputs", "cache_dir", "run_dir", "sweep",
)  # fmt: skip
PREDICT_KEYS = (
    "model", "checkpoint", "weights", "source", "output", "save", "writers", "overwrite", "score_threshold",
    "categories", "batch_size", "device", "limit", "min_size", "max_size", "outputs",
)  # fmt: skip
OWN_TRAINER_KEYS = ("checkpoint_every_minutes",)  # stand with Lightning's, which does not know them
HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def check_config(config: DictConfig) -> None:
    """Raise InstsegError for the first thing that cannot work."""
    _check_keys("", config, TOP_LEVEL)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InstsegError(f"a value is needed for {', '.join(missing)}, for example {missing[0]}=my_folder")
    for path, node in _target_nodes(config, ""):
        _check_call(path, node)
    _check_values(config)
    _check_hardware(config)


def check_predict_config(config: DictConfig) -> None:
    """As ``check_config``, for predict.py."""
    _check_keys("", config, PREDICT_KEYS)
    if OmegaConf.is_missing(config, "source"):
        raise InstsegError("source= is needed: a photo, a folder, a glob in quotes, or a list [a.jpg,b.jpg]")
    if bool(config.checkpoint) == bool(config.weights):
        raise InstsegError("give checkpoint= (a .ckpt, a run folder, or latest) or weights=coco, and not both")
    for path, node in _target_nodes(config, ""):
        _check_call(path, node)
    _check_number(config, "batch_size", 1)
    save = OmegaConf.to_container(config.save) if OmegaConf.is_list(config.save) else config.save
    checked_names(save, [str(name) for name, node in config.writers.items() if node is not None])
    _check_number(config, "score_threshold", 0)
    for key in ("limit", "min_size", "max_size"):
        _check_number(config, key, 1, or_null=True)


def _check_keys(where: str, given: Any, known: Any) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), list(known), n=2)
            meant = f" Did you mean {' or '.join(where + name for name in close)}?" if close else ""
            raise InstsegError(f"{where}{key}: there is no such key.{meant} Known here: {', '.join(sorted(known))}")


def _target_nodes(node: DictConfig, prefix: str) -> Iterator[tuple[str, DictConfig]]:
    for key, value in node.items_ex(resolve=False):
        if isinstance(value, DictConfig) and not value._is_none():
            path = f"{prefix}{key!s}."
            if "_target_" in value:
                yield path, value
            yield from _target_nodes(value, path)


def _check_call(path: str, node: DictConfig) -> None:
    """The keys beside ``_target_`` must be parameters of it, so that a misspelt one is not noticed hours later."""
    try:
        target = get_object(str(node["_target_"]))
    except Exception as error:
        raise InstsegError(f"{path}_target_={node['_target_']}: cannot be imported: {error}") from error
    parameters = inspect.signature(target).parameters
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [*parameters, *(OWN_TRAINER_KEYS if path == "trainer." else ())]
    _check_keys(path, (key for key in node if key not in HYDRA_KEYS and key != "suggested"), known)


def _check_values(config: DictConfig) -> None:
    if config.stage not in STAGES:
        raise InstsegError(f"stage={config.stage}: expected one of {', '.join(STAGES)}; predictions: predict.py")
    _check_number(config, "batch_size", 1)
    _check_number(config, "seed", 0)
    _check_number(config, "overfit_images", 1, or_null=True)
    if not (isinstance(config.train_share, int | float) and 0 < config.train_share <= 1):
        raise InstsegError(f"train_share={config.train_share}: expected more than 0, up to 1 for all training images")
    if config.num_workers != "auto":
        _check_number(config, "num_workers", 0, otherwise="auto or a number of processes")
    if config.resume and config.stage != "fit":
        raise InstsegError(f"resume={config.resume} goes on with a training; it does not fit stage={config.stage}")
    if config.reproduce and (config.resume or config.stage != "fit"):
        raise InstsegError(f"reproduce={config.reproduce} trains anew in a folder of its own: leave resume, stage out")
    if config.stage in MEASURING and not config.checkpoint:
        raise InstsegError(f"stage={config.stage} needs checkpoint=: a .ckpt, a run folder, or latest")
    if config.checkpoint and config.stage not in MEASURING:
        raise InstsegError(
            f"checkpoint={config.checkpoint} is for stage=validate and stage=test. To go on with its training use "
            f"resume={config.checkpoint}, to start a new one from its weights model.weights={config.checkpoint}"
        )
    minutes = config.trainer.checkpoint_every_minutes
    if not (minutes is None or (isinstance(minutes, int | float) and minutes > 0)):
        raise InstsegError(f"trainer.checkpoint_every_minutes={minutes}: expected more than 0, or null for never")
    if config.trainer.max_steps == -1 and config.trainer.max_epochs in (-1, None):
        raise InstsegError("trainer.max_epochs or trainer.max_steps must be given: the schedule needs to know the end")
    _check_monitor(config.monitor.metric, config.monitor.mode, [str(name) for name in config.metrics])


def _check_number(config: DictConfig, key: str, low: float, or_null: bool = False, otherwise: str = "") -> None:
    value = config[key]
    if (value is None and or_null) or (isinstance(value, int | float) and value >= low):
        return
    raise InstsegError(f"{key}={value}: expected {otherwise or f'{low} or more'}")


def _check_monitor(metric: str, mode: str, names: Sequence[str]) -> None:
    """Only of our own numbers is it known whether more is better; ``names`` are those of the configured metrics."""
    if metric.partition("/")[2].partition("/")[0] in names:
        return
    if not re.fullmatch(r"val/(loss\w*|(segm|bbox)_ma[pr].*|mean_mask_iou)", metric):
        raise InstsegError(
            f"monitor.metric={metric}: expected val/segm_map, val/bbox_map_50, val/segm_map/<category>, val/loss, …"
        )
    expected = "min" if metric.startswith("val/loss") else "max"
    if mode != expected:
        raise InstsegError(f"monitor.mode={mode}: {metric} is better when it is {expected}imal; use {expected}")


def _check_hardware(config: DictConfig) -> None:
    trainer = config.trainer
    has_gpu = torch.cuda.is_available()
    if trainer.accelerator in ("gpu", "cuda") and not has_gpu:
        raise InstsegError(
            f"trainer.accelerator={trainer.accelerator}: PyTorch {torch.__version__} finds no GPU here. "
            "Use trainer=cpu, or check the driver with nvidia-smi"
        )
    on_gpu = has_gpu and trainer.accelerator != "cpu"
    if str(trainer.precision).startswith("16") and not on_gpu:
        raise InstsegError(f"trainer.precision={trainer.precision} needs a GPU; on CPU use 32-true or bf16-mixed")
    if config.model.get("norm") == "sync_bn" and not on_gpu:
        raise InstsegError(
            "model.norm=sync_bn averages over GPUs, and none is used here: PyTorch has no such norm for CPU "
            "processes; use gn, which does not depend on the batch, or bn"
        )
    if config.model.get("norm") == "sync_bn" and trainer.strategy == "auto" and trainer.devices in (1, "1"):
        raise InstsegError("model.norm=sync_bn averages over processes, and there is one; use bn, or trainer=ddp")
