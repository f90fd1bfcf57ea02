"""The options of how every format is read: what is a crowd, a bbox, an RLE, a hole, white, and where images are."""

from __future__ import annotations

from dataclasses import dataclass, fields

from instseg.core.errors import InstsegError
from instseg.core.text import printable
from instseg.core.types import ValueRange

CHOICES = {
    "crowd": ("ignore", "keep"),
    "box_only": ("filled", "boxes", "ignore"),
    "bbox": ("xywh", "xyxy", "yxyx", "yxhw", "cxcywh"),
    "rle": ("columns", "rows"),
    "polygons": ("xy", "yx"),
    "coordinates": ("pixels", "fractions"),
    "holes": ("filled", "cut"),
    "outside": ("corrected", "always", "never"),
}
MAX_16_BIT = 65535


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Rules for labels of every format; the defaults are COCO's. conf/dataset/auto.yaml explains each.

    Args:
        crowd: ``keep`` takes regions marked as crowd (iscrowd 1) for ordinary instances.
        box_only: of instances that have a box and no mask: ``filled`` takes the box as the mask, ``boxes`` learns box
            and category alone, ``ignore`` nothing, nor that there is background.
        bbox: the four numbers of a bbox.
        rle: the order in which an RLE counts pixels.
        polygons: the order of each pair of numbers.
        coordinates: ``fractions`` of width and height, for polygons and boxes.
        holes: ``cut`` takes a polygon within another of the same instance out of it.
        value_range: of images of 16 bits, that becomes black to white; None for the range that all use together.
        outside: whose images may lie outside of the dataset: those of ``corrected`` predictions, all or none.

    Raises:
        InstsegError: a value is none of these.
    """

    crowd: str = "ignore"
    box_only: str = "filled"
    bbox: str = "xywh"
    rle: str = "columns"
    polygons: str = "xy"
    coordinates: str = "pixels"
    holes: str = "filled"
    outside: str = "corrected"
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", _value_range(self.value_range))
        for option, choices in CHOICES.items():
            value = getattr(self, option)
            if not isinstance(value, str) or value not in choices:
                raise InstsegError(
                    f"dataset.{option}: expected one of {', '.join(choices)}, found {printable(value) or 'nothing'}"
                )


def _value_range(value: object) -> ValueRange | None:
    """Return the range as two numbers; lists arrive from the configuration."""
    if value is None:
        return None
    numbers = tuple(value) if isinstance(value, list | tuple) else ()
    is_pair = len(numbers) == 2 and all(type(number) is int for number in numbers)
    if not is_pair or not 0 <= numbers[0] < numbers[1] <= MAX_16_BIT:
        raise InstsegError(
            f"dataset.value_range: expected null or two whole numbers from 0 to {MAX_16_BIT}, the lower one first, as "
            f"[0,4095], found {printable(value)}"
        )
    return numbers[0], numbers[1]


COCO_RULES = LabelRules()
RULE_OPTIONS = tuple(field.name for field in fields(LabelRules))
