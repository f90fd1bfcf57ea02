"""The values that each key may have, at one place; checked before anything slow is imported or done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from instseg.core.errors import InstsegError


class Values(Protocol):
    """Values that a key may have; the text of them follows the word "expected"."""

    def __contains__(self, value: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers between two limits.

    Args:
        low: smallest number.
        high: largest number.
        is_whole: only whole numbers.
        is_above: ``low`` itself is too small.
        besides: other values that have a meaning of their own, ``None`` being written null.
    """

    low: float
    high: float = math.inf
    is_whole: bool = False
    is_above: bool = False
    besides: tuple[object, ...] = ()

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return value in self.besides
        is_within = self.low < value <= self.high if self.is_above else self.low <= value <= self.high
        return (is_within and math.isfinite(value)) or value in self.besides

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        start = f"{kind} {'above' if self.is_above else 'from'} {self.low:.10g}"
        end = "" if self.is_above else " upwards"
        if math.isfinite(self.high):
            end = f"{' and up' if self.is_above else ''} to {self.high:.10g}"
        return start + end + "".join(f", or {'null' if other is None else other}" for other in self.besides)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A choice of texts, or of what is written like them."""

    names: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        return not isinstance(value, bool) and str(value) in self.names

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


COUNT = Numbers(1, is_whole=True)
COUNT_OR_NULL = Numbers(1, is_whole=True, besides=(None,))
NOT_NEGATIVE = Numbers(0)
POSITIVE = Numbers(0, is_above=True)
FRACTION = Numbers(0, 1)
END = Numbers(1, is_whole=True, besides=(-1, None))
PART_OF_EPOCH = Numbers(0, besides=(None,))

RUN_VALUES: Mapping[str, Values] = {
    "optimizer.lr": Numbers(0, is_above=True),
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.momentum": FRACTION,
    "optimizer.base_batch_size": COUNT,
    "optimizer.lr_scaling": OneOf(("linear", "sqrt", "none")),
    "scheduler.warmup_steps": Numbers(0, is_whole=True),
    "scheduler.warmup_max_fraction": FRACTION,
    "scheduler.warmup_start_factor": FRACTION,
    "scheduler.final_factor": FRACTION,
    "scheduler.gamma": Numbers(0, 1, is_above=True),
    "augmentation.min_size": COUNT,
    "augmentation.max_size": COUNT,
    "model.trainable_layers": Numbers(0, 5, is_whole=True, besides=(None,)),
    "model.rpn.nms_threshold": FRACTION,
    "model.rpn.score_threshold": FRACTION,
    "model.box.score_threshold": FRACTION,
    "model.box.nms_threshold": FRACTION,
    "model.box.detections_per_image": COUNT,
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps", "tpu")),
    "trainer.precision": OneOf(
        ("32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true", "32", "16", "64", "bf16")
    ),
    "trainer.num_nodes": COUNT,
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
    "callbacks.early_stopping.patience": Numbers(0, is_whole=True),
    "callbacks.ema.decay": FRACTION,
    "callbacks.swa.start": FRACTION,
    "batch_size": COUNT,
    "num_workers": Numbers(0, is_whole=True, besides=("auto",)),
    "train_fraction": Numbers(0, 1, is_above=True),
    "overfit_images": COUNT_OR_NULL,
    "seed": Numbers(0, 2**32 - 1, is_whole=True),
}
"""Dotted key of ``train.py`` -> its values. A key that the chosen options do not have is not asked for."""

PREDICT_VALUES: Mapping[str, Values] = {
    "score_threshold": FRACTION,
    "batch_size": COUNT,
    "limit": COUNT_OR_NULL,
    "min_size": COUNT_OR_NULL,
    "max_size": COUNT_OR_NULL,
    **{key: values for key, values in RUN_VALUES.items() if key.startswith("model.")},
}
"""The same of ``predict.py``."""


def check_values(config: Mapping[str, object], table: Mapping[str, Values]) -> None:
    """Check the values of a config that have a range.

    Args:
        config: plain containers.
        table: dotted key -> its values.

    Raises:
        InstsegError: the first value that its key may not have.
    """
    for key, values in table.items():
        is_there, value = _look_up(config, key)
        if is_there and value not in values:
            raise InstsegError(f"{key}={'null' if value is None else value}: expected {values}")


def _look_up(config: Mapping[str, object], key: str) -> tuple[bool, object]:
    """Return whether a dotted key is there, and its value."""
    found: object = config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return False, None
        found = found[part]
    return True, found
