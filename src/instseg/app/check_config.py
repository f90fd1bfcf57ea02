"""Checks of a config before any work: misspelt keys, values out of range, impossible combinations."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from instseg.app.config import (
    PREDICT_KEYS,
    RUN_KEYS,
    Node,
    PredictConfig,
    RunConfig,
    plain,
    read_predict_config,
    read_run_config,
)
from instseg.app.known_builders import model_builder_of
from instseg.app.stage_names import MEASURING, STAGE_NAMES
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices
from instseg.models.builder import options_of
from instseg.prediction.writers.choice import checked_names

LOSS = r"loss\w*"  # names of a network's losses, and of their sum
OWN_TRAINER_KEYS = ("checkpoint_every_minutes",)  # stand with Lightning's, which does not know them
HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def checked_run_config(config: DictConfig) -> RunConfig:
    """Turn the composed config of ``train.py`` into typed values that can work.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    _check_keys("", [str(key) for key in config], RUN_KEYS)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InstsegError(f"a value is needed for {', '.join(missing)}, for example {missing[0]}=my_folder")
    _check_calls(plain(config))
    typed = read_run_config(config)
    _check_stage(typed)
    _check_values(typed)
    _check_hardware(typed)
    return typed


def checked_predict_config(config: DictConfig) -> PredictConfig:
    """Turn the composed config of ``predict.py`` into typed values that can work; raises as the other."""
    _check_keys("", [str(key) for key in config], PREDICT_KEYS)
    if OmegaConf.is_missing(config, "source"):
        raise InstsegError("source= is needed: an image, a folder, a glob in quotes, or a list [a.jpg,b.jpg]")
    if bool(config.checkpoint) == bool(config.weights):
        raise InstsegError("give checkpoint= (a .ckpt, a run folder, or latest) or weights=coco, and not both")
    _check_calls(plain(config))
    checked_names(plain(config)["save"], [str(name) for name, node in config.writers.items() if node is not None])
    return read_predict_config(config)


def _check_keys(where: str, given: Iterable[str], known: Collection[str]) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=2)
            meant = f" Did you mean {' or '.join(where + name for name in close)}?" if close else ""
            raise InstsegError(f"{where}{key}: there is no such key.{meant} Known here: {', '.join(sorted(known))}")


def _check_calls(config: Node) -> None:
    for path, node in _nodes_with_target(config, ""):
        _check_call(path, node)


def _nodes_with_target(node: Mapping[str, object], prefix: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{key}."
            if "_target_" in value:
                yield path, value
            yield from _nodes_with_target(value, path)


def _check_call(path: str, node: Mapping[str, object]) -> None:
    """Compare the keys beside ``_target_`` with its parameters: a misspelt one is not noticed hours later."""
    try:
        target = get_object(str(node["_target_"]))
    except Exception as error:
        raise InstsegError(f"{path}_target_={node['_target_']}: cannot be imported: {error}") from error
    parameters = inspect.signature(target).parameters
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [*parameters, *(OWN_TRAINER_KEYS if path == "trainer." else ())]
    _check_keys(path, (key for key in node if key not in HYDRA_KEYS and key != "suggested"), known)


def _check_stage(config: RunConfig) -> None:
    if config.stage not in STAGE_NAMES:
        raise InstsegError(
            f"stage={config.stage}: expected one of {', '.join(STAGE_NAMES)}; predictions: {typed_command('predict')}"
        )
    if config.resume and config.stage != "fit":
        raise InstsegError(f"resume={config.resume} resumes a training; it does not fit stage={config.stage}")
    if config.reproduce and (config.resume or config.stage != "fit"):
        raise InstsegError(f"reproduce={config.reproduce} trains anew in a folder of its own: leave resume, stage out")
    if config.stage in MEASURING and not config.checkpoint:
        raise InstsegError(f"stage={config.stage} needs checkpoint=: a .ckpt, a run folder, or latest")
    if config.checkpoint and config.stage not in MEASURING:
        raise InstsegError(
            f"checkpoint={config.checkpoint} is for stage=validate and stage=test. To resume its training use "
            f"resume={config.checkpoint}, to start a new one from its weights model.weights={config.checkpoint}"
        )


def _check_values(config: RunConfig) -> None:
    workers = config.num_workers
    if not (workers == "auto" or (isinstance(workers, int) and workers >= 0)):
        raise InstsegError(f"num_workers={workers}: expected auto or a number of processes")
    if config.trainer.max_steps == -1 and config.trainer.max_epochs in (-1, None):
        raise InstsegError("trainer.max_epochs or trainer.max_steps must be given: the schedule needs to know the end")
    _check_monitor(config.monitor.metric, config.monitor.mode, config.metrics)
    for name, node in config.metrics.items():
        if node is not None and re.fullmatch(LOSS, name):
            raise InstsegError(
                f"metrics.{name}: expected a name that does not begin with loss, because val/{name} is the log of a "
                "loss of the network; give the metric another name"
            )


def _check_monitor(metric: str, mode: str, own: Collection[str]) -> None:
    """Check the monitored metric; only of the built-in numbers is it known which mode is better, not of ``own``."""
    if metric.partition("/")[2].partition("/")[0] in own:
        return
    if not re.fullmatch(rf"val/({LOSS}|(segm|bbox)_ma[pr].*|mean_mask_iou)", metric):
        raise InstsegError(
            f"monitor.metric={metric}: expected val/segm_map, val/bbox_map_50, val/segm_map/<category>, val/loss, …"
        )
    expected = "min" if metric.startswith("val/loss") else "max"
    if mode != expected:
        raise InstsegError(f"monitor.mode={mode}: {metric} is better when it is {expected}imal; use {expected}")


def _check_hardware(config: RunConfig) -> None:
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
    devices = Devices(on_gpu, is_single=trainer.strategy == "auto" and trainer.devices in (1, "1"))
    model_builder_of(config.model).check_devices(options_of(config.model), devices)
