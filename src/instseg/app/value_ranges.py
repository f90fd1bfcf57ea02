"""The values that each key may have, at one place; checked before anything slow is imported or done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from instseg.auditing.report import FATAL_KINDS
from instseg.core.errors import InstsegError
from instseg.core.ranges import (
    COUNT,
    COUNT_OR_NULL,
    FRACTION,
    NOT_NEGATIVE,
    SCORE_THRESHOLD,
    AnyOf,
    ListOf,
    Numbers,
    OneOf,
    SomeOf,
    Values,
    as_written,
)
from instseg.evaluation.goal import GOALS
from instseg.models.mask_rcnn_options import BUILDER, RANGES
from instseg.prediction.augmentations import Augmentation
from instseg.prediction.export_formats import FormatName
from instseg.prediction.nms import NmsKind

END = Numbers(1, is_whole=True, besides=(-1, None))
MIN_TILE_PX = 64
COLOUR_BY = OneOf(("instance", "category"))
PART_OF_EPOCH = Numbers(0, besides=(None,))

RUN_VALUES: dict[str, Values] = {
    "optimizer.lr": Numbers(0, is_above=True),
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.momentum": FRACTION,
    "optimizer.betas": ListOf(FRACTION, length=2),
    "optimizer.base_batch_size": COUNT,
    "optimizer.lr_scaling": OneOf(("linear", "sqrt", "none")),
    "scheduler.warmup_steps": Numbers(0, is_whole=True),
    "scheduler.warmup_max_fraction": FRACTION,
    "scheduler.warmup_start_factor": FRACTION,
    "scheduler.final_factor": FRACTION,
    "scheduler.milestones": ListOf(FRACTION),
    "scheduler.gamma": Numbers(0, 1, is_above=True),
    "augmentation.min_size": COUNT,
    "augmentation.max_size": COUNT,
    "augmentation.min_visibility": FRACTION,
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps", "tpu")),
    "trainer.precision": OneOf(
        ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true", "32", "16", "64", "bf16")
    ),
    "trainer.devices": AnyOf((Numbers(1, is_whole=True, besides=("auto", -1)), ListOf(Numbers(0, is_whole=True)))),
    "trainer.num_nodes": COUNT,
    "trainer.deterministic": OneOf(("warn",), besides=(True, False, None)),
    "trainer.max_epochs": END,
    "trainer.max_steps": Numbers(1, is_whole=True, besides=(-1,)),
    "trainer.accumulate_grad_batches": COUNT,
    "trainer.gradient_clip_val": Numbers(0, besides=(None,)),
    "trainer.check_val_every_n_epoch": COUNT_OR_NULL,
    "trainer.val_check_interval": Numbers(0, is_above=True, besides=(None,)),
    "trainer.limit_train_batches": PART_OF_EPOCH,
    "trainer.limit_val_batches": PART_OF_EPOCH,
    "trainer.limit_test_batches": PART_OF_EPOCH,
    "trainer.num_sanity_val_steps": Numbers(0, is_whole=True, besides=(-1,)),
    "trainer.checkpoint_every_minutes": Numbers(0, is_above=True, besides=(None,)),
    "trainer.log_every_n_steps": Numbers(0, is_whole=True),
    "callbacks.pictures.num_images": Numbers(0, is_whole=True),
    "callbacks.pictures.score_threshold": FRACTION,
    "callbacks.pictures.max_megabytes": Numbers(0),
    "callbacks.pictures.colour_by": COLOUR_BY,
    "callbacks.early_stopping.patience": Numbers(0, is_whole=True),
    "callbacks.ema.decay": FRACTION,
    "callbacks.swa.start": FRACTION,
    "dataset.max_unpacked_gb": Numbers(0, is_above=True, besides=(None,)),
    "colour_by": COLOUR_BY,
    "audit.accept": ListOf(OneOf(FATAL_KINDS)),
    "operating_point": GOALS,
    "label_errors.min_score": FRACTION,
    "export.format": OneOf(get_args(FormatName)),
    "export.quantize": OneOf(("int8",), besides=(None,)),
    "export.max_ap_loss": Numbers(0, 1, besides=(None,)),
    "recalibrate": OneOf(("isotonic", "temperature"), besides=(None,)),
    "batch_size": COUNT,
    "num_workers": Numbers(0, is_whole=True, besides=("auto",)),
    "train_fraction": Numbers(0, 1, is_above=True),
    "overfit_images": COUNT_OR_NULL,
    "repeat_threshold": Numbers(0, 1, is_above=True, besides=(None,)),
    "seed": Numbers(0, 2**32 - 1, is_whole=True),
}
"""Dotted key of ``train.py`` -> its values. A key that the chosen options do not have is not asked for."""

PREDICT_VALUES: dict[str, Values] = {
    "score_threshold": SCORE_THRESHOLD,
    "precision": OneOf(("auto", "32-true", "bf16-mixed")),
    "colour_by": COLOUR_BY,
    "writers.overlays.colour_by": COLOUR_BY,
    "batch_size": COUNT,
    "limit": COUNT_OR_NULL,
    "page": Numbers(0, is_whole=True, besides=("all",)),
    "min_size": COUNT_OR_NULL,
    "max_size": COUNT_OR_NULL,
    "tile": Numbers(MIN_TILE_PX, is_whole=True, besides=("auto", None)),
    "tile_overlap": Numbers(0, 0.5, is_above=True),
    "nms": OneOf(get_args(NmsKind)),
    "nms_threshold": Numbers(0, 1, besides=(None,)),
    "nms_sigma": Numbers(0, is_above=True, besides=(None,)),
    "tta": SomeOf(get_args(Augmentation)),
    "video": OneOf(("auto",), besides=(True, False)),
    "fps": Numbers(0, is_above=True, besides=(None,)),
    "tracker.max_gap_seconds": NOT_NEGATIVE,
    "tracker.min_iou": FRACTION,
    "tracker.weak_fraction": FRACTION,
}
"""The same of ``predict.py``."""

NEXT_VALUES: dict[str, Values] = PREDICT_VALUES | {"count": COUNT}
"""The same of ``instseg next``."""

OF_EVERY_MODEL = (
    "score_threshold", "precision", "colour_by", "min_size", "max_size", "tile", "tile_overlap", "nms", "nms_threshold",
    "nms_sigma", "tta",
)  # fmt: skip
"""Keys of ``predict.py`` that a server has, too."""
SERVE_VALUES: dict[str, Values] = {key: PREDICT_VALUES[key] for key in OF_EVERY_MODEL} | {
    "port": Numbers(0, 65535, is_whole=True),
    "batch_size": Numbers(1, is_whole=True, besides=("auto",)),
    "max_mb": Numbers(0, is_above=True),
    "max_megapixels": Numbers(0, is_above=True),
    "max_waiting": COUNT,
    "max_seconds": Numbers(0, is_above=True),
}
"""The same of ``instseg serve``."""


def check_values(config: Mapping[str, object], table: dict[str, Values]) -> None:
    """Check the values of a config that have a range.

    Args:
        config: plain containers.
        table: dotted key -> its values.

    Raises:
        InstsegError: the first value that its key may not have.
    """
    for key, values in (table | _values_of_model(config)).items():
        is_there, value = _look_up(config, key)
        if is_there and value not in values:
            raise InstsegError(f"{key}={as_written(value)}: expected {values}")


def _values_of_model(config: Mapping[str, object]) -> dict[str, Values]:
    """Return dotted key -> values of a network of ours; another's options are its own to check."""
    is_ours = _look_up(config, "model._target_") == (True, BUILDER)
    return {f"model.{key}": values for key, values in RANGES.items()} if is_ours else {}


def _look_up(config: Mapping[str, object], key: str) -> tuple[bool, object]:
    """Return whether a dotted key is there, and its value."""
    found: object = config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return False, None
        found = found[part]
    return True, found
