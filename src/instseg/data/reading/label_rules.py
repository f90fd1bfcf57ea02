"""The options of how labels of every format are read: what is a crowd, a bbox, an RLE, a hole, and where images are."""

from __future__ import annotations

from dataclasses import dataclass, fields

from instseg.core.errors import InstsegError
from instseg.core.text import printable

CHOICES = {
    "crowd": ("ignore", "keep"),
    "bbox": ("xywh", "xyxy", "yxyx", "yxhw", "cxcywh"),
    "rle": ("columns", "rows"),
    "polygons": ("xy", "yx"),
    "coordinates": ("pixels", "fractions"),
    "holes": ("filled", "cut"),
    "outside": ("corrected", "always", "never"),
}


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Rules for labels of every format; the defaults are COCO's. conf/dataset/auto.yaml explains each.

    Args:
        crowd: ``keep`` takes regions marked as crowd (iscrowd 1) for ordinary instances.
        bbox: the four numbers of a bbox.
        rle: the order in which an RLE counts pixels.
        polygons: the order of each pair of numbers.
        coordinates: ``fractions`` of width and height, for polygons and boxes.
        holes: ``cut`` takes a polygon within another of the same instance out of it.
        outside: whose images may lie outside of the dataset: those of ``corrected`` predictions, all or none.

    Raises:
        InstsegError: a value is none of these.
    """

    crowd: str = "ignore"
    bbox: str = "xywh"
    rle: str = "columns"
    polygons: str = "xy"
    coordinates: str = "pixels"
    holes: str = "filled"
    outside: str = "corrected"

    def __post_init__(self) -> None:
        for option, choices in CHOICES.items():
            value = getattr(self, option)
            if not isinstance(value, str) or value not in choices:
                raise InstsegError(
                    f"dataset.{option}: expected one of {', '.join(choices)}, found {printable(value) or 'nothing'}"
                )


COCO_RULES = LabelRules()
RULE_OPTIONS = tuple(field.name for field in fields(LabelRules))
