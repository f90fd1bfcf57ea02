"""Checks of the metrics that decide which weights are kept and when a training stops. Imports no torch."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from instseg.app.config import Node, RunConfig, class_name
from instseg.core.errors import InstsegError
from instseg.core.ranges import as_written
from instseg.core.text import did_you_mean
from instseg.models.mask_rcnn_options import BUILDER, LOSSES

NUMBERS = (
    "map", "map_50", "map_75", "map_small", "map_medium", "map_large", "map_all",
    "mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large",
)  # fmt: skip
KNOWN = (
    "val/loss",
    *(f"val/{name}" for name in LOSSES),
    *(f"val/{kind}_{number}" for kind in ("segm", "bbox") for number in NUMBERS),
    "val/mean_mask_iou",
)
OF_CATEGORY = re.compile(r"val/(?:segm|bbox)_map/(?P<category>.+)")
LOSS = re.compile(r"loss\w*")
"""Names of a network's losses, and of their sum."""
KEEPERS = ("EarlyStopping", "BestCheckpoint", "ModelCheckpoint")
"""Callbacks that take a smaller value for the better one where they are not told."""
OF_OTHERS = (
    *(f"train/{name.removeprefix('val/')}" for name in KNOWN if name.startswith("val/loss")), "lr", "images_per_second",
)  # fmt: skip
"""What a callback may monitor besides, and what decides about the best weights may not be."""
LIBRARIES = ("instseg.", "pytorch_lightning.", "lightning.")


@dataclass(frozen=True, slots=True)
class Monitored:
    """A metric that something waits for, by the key that names it."""

    key: str
    metric: str
    mode: str | None

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"{self.key}={self.metric}"


def monitors_of(config: RunConfig) -> list[Monitored]:
    """Return the metric that decides about the best weights, and those of callbacks that wait for another."""
    main = Monitored("monitor.metric", config.monitor.metric, config.monitor.mode)
    others = [
        Monitored(f"callbacks.{name}.monitor", str(node["monitor"]), _mode(node))
        for name, node in config.callbacks.items()
        if node is not None and node.get("monitor") is not None
    ]
    return [main, *(other for other in others if (other.metric, other.mode) != (main.metric, main.mode))]


def _mode(node: Node) -> str | None:
    mode = node.get("mode", "min" if class_name(node) in KEEPERS else None)
    return None if mode is None else str(mode)


def check_monitor(config: RunConfig) -> None:
    """Check what can be known of monitored metrics and early stopping before the data are.

    Raises:
        InstsegError: there is no such metric, its other end is the better one, or nothing will be measured.
    """
    for monitor in monitors_of(config):
        _check(monitor, config)
    _check_early_stopping(config)


def _check(monitor: Monitored, config: RunConfig) -> None:
    _, _, name = monitor.metric.partition("/")
    if name.partition("/")[0] in config.metrics and not name.startswith("loss"):
        return  # of the user's own, whose better end only the user knows
    _check_name(monitor, config)
    if monitor.metric not in KNOWN and not OF_CATEGORY.fullmatch(monitor.metric) and not name.startswith("loss"):
        return
    if not name.startswith("loss") and all(node is None for node in config.metrics.values()):
        raise InstsegError(
            f"{monitor}: no metric is measured, since metrics has none; use {monitor.key}=val/loss with mode min, or "
            "metrics=default"
        )
    expected = "min" if name.startswith("loss") else "max"
    if monitor.mode not in (None, expected):
        typed = f"{monitor.key.rpartition('.')[0]}.mode={as_written(monitor.mode)}"
        raise InstsegError(f"{typed}: {monitor.metric} is better when it is {expected}imal; use {expected}")


def _check_name(monitor: Monitored, config: RunConfig) -> None:
    """Check a name; losses of a network that is not ours may have any, and callbacks of the user's log any."""
    is_main = monitor.key == "monitor.metric"
    known = KNOWN if is_main else (*KNOWN, *OF_OTHERS)
    split, _, name = monitor.metric.partition("/")
    is_ours = config.model.get("_target_") == BUILDER
    own_loss = not is_ours and split in (("val",) if is_main else ("val", "train")) and LOSS.fullmatch(name)
    if monitor.metric in known or OF_CATEGORY.fullmatch(monitor.metric) or own_loss:
        return
    if not is_main and any(not _is_of_library(node) for node in config.callbacks.values() if node is not None):
        return
    close = difflib.get_close_matches(monitor.metric, known, n=3)
    close = close or difflib.get_close_matches(f"val/{monitor.metric}", known, n=3)
    raise InstsegError(
        f"{monitor}: there is no such metric.{did_you_mean(close)} Known here: val/segm_map, "
        "val/segm_map_50, val/segm_map/<category>, the same of bbox, val/loss, …"
    )


def _is_of_library(node: Node) -> bool:
    return str(node.get("_target_")).startswith(LIBRARIES)


def _check_early_stopping(config: RunConfig) -> None:
    """Refuse to wait for a validation that never comes."""
    trainer = config.trainer_options
    end, every = trainer.get("max_epochs"), trainer.get("check_val_every_n_epoch")
    if trainer.get("limit_val_batches") == 0:
        why = "trainer.limit_val_batches=0"
    elif isinstance(end, int) and isinstance(every, int) and 0 < end < every:
        why = f"trainer.check_val_every_n_epoch={every} and trainer.max_epochs={end}"
    else:
        return
    for name, node in config.callbacks.items():
        if node is None or class_name(node) != "EarlyStopping":
            continue
        if not str(node.get("monitor")).startswith("train/"):
            raise InstsegError(
                f"callbacks.{name} with {why}: nothing is validated, so nothing can stop the training early; use "
                f"callbacks.{name}=null, or validate"
            )
