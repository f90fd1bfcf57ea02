"""The loggers of a run, and the settings that they show it by."""

from __future__ import annotations

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger

from instseg.app.config import Node, RunConfig, class_name
from instseg.app.instantiate import build
from instseg.core.errors import InstsegError

NAME_KEYS = {"WandbLogger": "name", "MLFlowLogger": "run_name"}
SHOWN = {
    "model": ("backbone", "weights", "trainable_layers"), "optimizer": ("lr", "weight_decay"),
    "augmentation": ("min_size", "max_size"), "trainer": ("max_epochs", "precision"),
    "": ("batch_size", "train_fraction", "seed"),
}  # fmt: skip
"""Section of the config -> keys by which runs are told apart."""


def build_loggers(config: RunConfig) -> list[Logger]:
    """Build the configured loggers.

    Raises:
        InstsegError: one is no logger.
    """
    return [_logger(name, _run_name(node, config) | node) for name, node in config.logger.items() if node is not None]


def _logger(name: str, node: Node) -> Logger:
    logger = build(node)
    if not isinstance(logger, Logger):
        raise InstsegError(f"logger.{name}: expected a Logger of Lightning, found {type(logger).__name__}")
    return logger


def _run_name(node: Node, config: RunConfig) -> Node:
    """Return the name of the run as its logger takes it: that of the run folder."""
    key = NAME_KEYS.get(class_name(node))
    return {key: "/".join(config.folder.parts[-2:])} if key else {}


def log_settings(trainer: Trainer, config: RunConfig) -> None:
    """Tell each logger the settings of the run.

    Args:
        trainer: with the loggers.
        config: of the run.
    """
    settings: dict[str, object] = {"data_and_model": config.folder.parent.name}
    settings["optimizer"] = str(config.optimizer.get("_target_")).rpartition(".")[2].removeprefix("build_")
    for section, keys in SHOWN.items():
        values = config.resolved[section] if section else config.resolved
        if isinstance(values, dict):
            settings |= {".".join(filter(None, (section, key))): values[key] for key in keys if key in values}
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)
