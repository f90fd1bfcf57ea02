"""Checks of a config before any work: misspelt keys, values out of range, impossible combinations.

Imports neither torch nor Lightning: what is wrong is said at once. What needs them is in ``check_machine``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

import msgspec
from omegaconf import DictConfig, OmegaConf

from instseg.app.check_choices import check_choices, check_sizes
from instseg.app.check_lightning import check_loggers, check_strategy
from instseg.app.check_monitor import LOSS, check_monitor
from instseg.app.config import (
    NEXT_KEYS,
    PREDICT_KEYS,
    RUN_KEYS,
    SERVE_KEYS,
    NextConfig,
    PredictConfig,
    RunConfig,
    ServeConfig,
)
from instseg.app.read_config import plain, read_config
from instseg.app.stage_names import OF_CHECKPOINT, STAGE_NAMES
from instseg.app.typed_names import with_standard_input
from instseg.app.value_ranges import NEXT_VALUES, PREDICT_VALUES, RUN_VALUES, SERVE_VALUES, check_values
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.ranges import Values, as_written
from instseg.core.text import did_you_mean
from instseg.prediction.writers.choice import checked_names

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def checked_run_config(config: DictConfig) -> RunConfig:
    """Turn the composed config of ``train.py`` into typed values that can work.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    check_keys("", [str(key) for key in config], RUN_KEYS)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InstsegError(f"a value is needed for {', '.join(missing)}, for example {missing[0]}=my_folder")
    check_values(plain(config), RUN_VALUES)
    typed = read_config(config, RunConfig)
    _check_stage(typed)
    _check_end(typed)
    check_monitor(typed)
    _check_names_of_metrics(typed)
    check_strategy(typed)
    check_loggers(typed)
    check_choices(typed)
    return typed


def checked_predict_config(config: DictConfig) -> PredictConfig:
    """Turn the composed config of ``predict.py`` into typed values that can work.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    _check_predictions(config, PREDICT_KEYS, PREDICT_VALUES)
    typed = read_config(config, PredictConfig)
    check_sizes(typed.min_size, typed.max_size)
    typed.build_nms()
    return msgspec.structs.replace(typed, source=with_standard_input(typed.source))


def checked_next_config(config: DictConfig) -> NextConfig:
    """Turn the composed config of ``instseg next`` into typed values that can work.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    _check_predictions(config, NEXT_KEYS, NEXT_VALUES, "auto")
    return read_config(config, NextConfig)


def _check_predictions(config: DictConfig, keys: Collection[str], values: dict[str, Values], *saves: str) -> None:
    """Check what predictions are made of, with names of ``save`` that are none of a writer."""
    check_keys("", [str(key) for key in config], keys)
    if OmegaConf.is_missing(config, "source"):
        raise InstsegError("source= is needed: an image, a folder, a glob in quotes, or a list [a.jpg,b.jpg]")
    _check_model(config)
    content = plain(config)
    check_values(content, values)
    if content["save"] not in saves:
        writers = content["writers"]
        if not isinstance(writers, Mapping):
            raise InstsegError(f"writers={as_written(writers)}: expected writers by name")
        checked_names(content["save"], [str(name) for name, node in writers.items() if node is not None])


def checked_serve_config(config: DictConfig) -> ServeConfig:
    """Turn the composed config of ``instseg serve`` into typed values that can work.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    check_keys("", [str(key) for key in config], SERVE_KEYS)
    _check_model(config)
    check_values(plain(config), SERVE_VALUES)
    typed = read_config(config, ServeConfig)
    check_sizes(typed.min_size, typed.max_size)
    typed.build_nms()
    return typed


def _check_model(config: DictConfig) -> None:
    """Check which model is meant, and on which device."""
    if bool(config.checkpoint) == bool(config.weights):
        raise InstsegError("give checkpoint= (a .ckpt, a run folder, or latest) or weights=coco, and not both")
    if not DEVICE.fullmatch(str(config.device)):
        found = as_written(config.device)
        meant = f"cuda:{found}" if found.isdigit() else "cuda"
        raise InstsegError(f"device={found}: expected auto, cpu, mps or cuda; for a GPU device={meant}")


def check_keys(where: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise InstsegError for the first key that is not known, with those that are close.

    Args:
        where: the dotted key around them, with a dot at its end; empty at the top.
        given: the keys.
        known: all that there are.
    """
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=2)
            meant = did_you_mean([where + name for name in close])
            raise InstsegError(f"{where}{key}: there is no such key.{meant} Known here: {', '.join(sorted(known))}")


def _check_stage(config: RunConfig) -> None:
    if config.stage not in STAGE_NAMES:
        raise InstsegError(
            f"stage={config.stage}: expected one of {', '.join(STAGE_NAMES)}; predictions: {typed_command('predict')}"
        )
    if config.resume and config.stage != "fit":
        raise InstsegError(f"resume={config.resume} resumes a training; it does not fit stage={config.stage}")
    if config.reproduce and (config.resume or config.stage != "fit"):
        raise InstsegError(f"reproduce={config.reproduce} trains anew in a folder of its own: leave resume, stage out")
    if config.stage in OF_CHECKPOINT and not config.checkpoint:
        raise InstsegError(f"stage={config.stage} needs checkpoint=: a .ckpt, a run folder, or latest")
    if config.checkpoint and config.stage not in OF_CHECKPOINT:
        raise InstsegError(
            f"checkpoint={config.checkpoint} is for stage=validate, test, report and export. To resume its training "
            f"use resume={config.checkpoint}, to start a new one from its weights model.weights={config.checkpoint}"
        )


def _check_end(config: RunConfig) -> None:
    if config.trainer.max_steps == -1 and config.trainer.max_epochs in (-1, None):
        raise InstsegError("trainer.max_epochs or trainer.max_steps must be given: the schedule needs to know the end")


def _check_names_of_metrics(config: RunConfig) -> None:
    for name, node in config.metrics.items():
        if node is not None and LOSS.fullmatch(name):
            raise InstsegError(
                f"metrics.{name}: expected a name that does not begin with loss, because val/{name} is the log of a "
                "loss of the network; give the metric another name"
            )
