"""Category names, the one place where json category ids and network labels meet, and a colour for each."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instseg.core.errors import InstsegError
from instseg.core.types import CocoCategory

GOLDEN_RATIO = 0.618033988749895  # successive hues stay far apart, however many there are


@dataclass(frozen=True, slots=True)
class Categories:
    """Ordered category names; label ``i + 1`` means ``names[i]``, label 0 is the background."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        duplicates = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if duplicates:
            raise InstsegError(f"categories: names must be unique, found twice: {', '.join(duplicates)}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_classes(self) -> int:
        """Number of categories and the background."""
        return len(self.names) + 1

    def label(self, name: str) -> int:
        return self.names.index(name) + 1

    def name(self, label: int) -> str:
        if label < 1:
            raise IndexError(f"label {label} is no category: they count from 1")
        return self.names[label - 1]

    def check_same(self, other: Categories, self_is: str, other_is: str) -> None:
        """Raise InstsegError with the difference when the two are not the same names in the same order."""
        if self.names == other.names:
            return
        only_self = [name for name in self.names if name not in other.names]
        only_other = [name for name in other.names if name not in self.names]
        parts = []
        if only_self:
            parts.append(f"only in {self_is}: {', '.join(only_self)}")
        if only_other:
            parts.append(f"only in {other_is}: {', '.join(only_other)}")
        if not parts:
            parts.append(f"order in {self_is}: {list(self.names)}; order in {other_is}: {list(other.names)}")
        raise InstsegError(f"categories of {self_is} and {other_is} differ; " + "; ".join(parts))

    def to_coco(self) -> list[CocoCategory]:
        """COCO category entries whose ids are the labels."""
        return [{"id": label, "name": name} for label, name in enumerate(self.names, start=1)]

    def id_to_label(self, coco_categories: Iterable[CocoCategory]) -> dict[int, int]:
        """json category_id -> label, for the categories of the json that are among these."""
        labels = {name: label for label, name in enumerate(self.names, start=1)}
        return {c["id"]: labels[c["name"]] for c in coco_categories if c["name"] in labels}


def category_colour(label: int) -> tuple[int, int, int]:
    """RGB 0..255 of a label: bright, the same in every picture of every run."""
    hue = (0.02 + (label - 1) * GOLDEN_RATIO) % 1.0
    lightness = (0.55, 0.45, 0.65)[(label - 1) // 8 % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def select_names(available: Sequence[str], wanted: str | Sequence[str] | None, where: str) -> tuple[str, ...]:
    """The wanted names (or the one) in the wanted order, or all; InstsegError naming what ``where`` does not hold."""
    if not wanted:
        return tuple(available)
    if isinstance(wanted, str):  # categories=car, typed without brackets
        wanted = [wanted]
    known = set(available)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise InstsegError(f"{where}: no category named {', '.join(map(repr, missing))}; it has {list(available)}")
    return tuple(wanted)
