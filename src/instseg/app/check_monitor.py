"""Checks of the metric that decides which weights are kept. Imports no torch."""

from __future__ import annotations

import difflib
import re

from instseg.app.config import RunConfig
from instseg.core.errors import InstsegError
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
EARLY_STOPPING = "early_stopping"


def check_monitor(config: RunConfig) -> None:
    """Check what can be known of ``monitor`` and early stopping before the data are.

    Raises:
        InstsegError: there is no such metric, its other end is the better one, or nothing will be measured.
    """
    metric, mode = config.monitor.metric, config.monitor.mode
    if metric.partition("/")[2].partition("/")[0] in config.metrics and not metric.startswith("val/loss"):
        return  # of the user's own, whose better end only the user knows
    _check_name(metric, is_ours=config.model.get("_target_") == BUILDER)
    if not metric.startswith("val/loss") and all(node is None for node in config.metrics.values()):
        raise InstsegError(
            f"monitor.metric={metric}: no metric is measured, since metrics has none; use monitor.metric=val/loss "
            "monitor.mode=min, or metrics=default"
        )
    expected = "min" if metric.startswith("val/loss") else "max"
    if mode != expected:
        raise InstsegError(f"monitor.mode={mode}: {metric} is better when it is {expected}imal; use {expected}")
    if config.callbacks.get(EARLY_STOPPING) is not None and config.trainer_options.get("limit_val_batches") == 0:
        raise InstsegError(
            f"callbacks.{EARLY_STOPPING} with trainer.limit_val_batches=0: nothing is validated, so nothing can stop "
            f"the training early; use callbacks.{EARLY_STOPPING}=null, or validate"
        )


def _check_name(metric: str, is_ours: bool) -> None:
    """Check a name; losses of a network that is not ours may have any."""
    of_category = OF_CATEGORY.fullmatch(metric)
    own_loss = not is_ours and metric.startswith("val/") and LOSS.fullmatch(metric[4:])
    if metric in KNOWN or of_category or own_loss:
        return
    close = difflib.get_close_matches(metric, KNOWN, n=3) or difflib.get_close_matches(f"val/{metric}", KNOWN, n=3)
    raise InstsegError(
        f"monitor.metric={metric}: there is no such metric.{did_you_mean(close)} Known here: val/segm_map, "
        "val/segm_map_50, val/segm_map/<category>, the same of bbox, val/loss, …"
    )
