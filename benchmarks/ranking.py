"""Curves of a ranking of suspicions against injected errors."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from injecting import Injected
from numpy.typing import NDArray

from instseg.core.masks import rle_to_box

MIN_BOX_IOU = 0.4
"""Of the box of a suspicion with that of the objects of an error, to be about it."""
FOUND_AS = {
    "drop": "unlabelled",
    "add": "no_object",
    "swap": "wrong_category",
    "dilate": "bad_polygon",
    "shift": "bad_polygon",
    "merge": "merged",
    "split": "split",
}
"""Injected kind -> kind of the suspicion that finds it."""
ALL = "all kinds"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspected:
    """A row of label_errors.csv."""

    kind: str
    image: str
    box: Floats  # (4,) xyxy


@dataclass(slots=True)
class Curve:
    """Precision and recall after each suspicion of a ranking."""

    precisions: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)

    def recall_at(self, precision: float) -> float:
        """The highest recall of which the precision is at least that."""
        pairs = zip(self.precisions, self.recalls, strict=True)
        return max((recall for found, recall in pairs if found >= precision), default=0.0)

    def precision_at(self, recall: float) -> float:
        """The highest precision of which the recall is at least that; 0 where it is not reached."""
        pairs = zip(self.precisions, self.recalls, strict=True)
        return max((found for found, reached in pairs if reached >= recall), default=0.0)


def read_suspicions(path: Path) -> list[Suspected]:
    """All suspicions, the likeliest first."""
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    boxes = [np.array([float(row[key]) for key in ("x1", "y1", "x2", "y2")]) for row in rows]
    return [Suspected(row["kind"], row["image"], box) for row, box in zip(rows, boxes, strict=True)]


def curves(suspicions: Sequence[Suspected], injected: Sequence[tuple[str, Injected]]) -> dict[str, tuple[Curve, int]]:
    """Kind that was injected -> curve of the ranking, and how many there are.

    A suspicion is right where it is of the kind that finds the error, and each error is found once. Suspicions of bad
    polygons are right about one that is dilated as well as about one that is shifted. Of all kinds together, any
    suspicion about any error is right.
    """
    kinds = [kind for kind in FOUND_AS if any(one.kind == kind for _, one in injected)]
    found = {kind: _curve(suspicions, injected, kind) for kind in kinds}
    return {**found, ALL: _curve(suspicions, injected, None)}


def _curve(
    suspicions: Sequence[Suspected], injected: Sequence[tuple[str, Injected]], kind: str | None
) -> tuple[Curve, int]:
    asked = [one for one in suspicions if kind is None or one.kind == FOUND_AS[kind]]
    alike = [pair for pair in injected if kind is None or FOUND_AS[pair[1].kind] == FOUND_AS[kind]]
    count = sum(1 for _, one in alike if kind in (None, one.kind))
    curve, right, hits = Curve(), 0, 0
    for number, found in enumerate(_found(asked, alike), start=1):
        right += found is not None
        hits += found is not None and kind in (None, found.kind)
        curve.precisions.append(right / number)
        curve.recalls.append(hits / count)
    return curve, count


def _found(suspicions: Sequence[Suspected], injected: Sequence[tuple[str, Injected]]) -> Iterator[Injected | None]:
    """Yield the error that each suspicion finds first, None where it finds none."""
    left = [(image, one, _box(one)) for image, one in injected]
    for suspected in suspicions:
        near = [pair for pair in left if pair[0] == suspected.image and _iou(pair[2], suspected.box) >= MIN_BOX_IOU]
        best = max(near, key=lambda pair: _iou(pair[2], suspected.box), default=None)
        if best is not None:
            left = [pair for pair in left if pair is not best]
        yield None if best is None else best[1]


def _box(injected: Injected) -> Floats:
    boxes = np.array([rle_to_box(rle) for rle in injected.masks])
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _iou(one: Floats, other: Floats) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common, 1e-9)
