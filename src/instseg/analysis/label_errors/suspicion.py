"""Suspicions: labels that are likely wrong, and objects that are likely without a label."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of label errors."""

    UNLABELLED = "unlabelled"
    NO_OBJECT = "no_object"
    CATEGORY = "wrong_category"
    POLYGON = "bad_polygon"
    MERGED = "merged"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A label error that is suspected, with the labels and the detections that speak for it."""

    kind: Kind
    image: int
    """Position among the judged images."""
    truths: tuple[int, ...]
    """Rows of the labels in their image; none for an object without label."""
    detections: tuple[int, ...]
    """Rows of the detections, the objects as they probably are; none for a label without object."""
    score: float
    """How likely it is, 0 to 1, by which suspicions are ranked."""


def ranked(suspicions: list[Suspicion]) -> list[Suspicion]:
    """Return suspicions, the likeliest first, each label and each detection in one of them only."""
    taken: set[tuple[int, bool, int]] = set()
    kept = []
    for one in sorted(suspicions, key=lambda one: -one.score):
        claims = {(one.image, True, row) for row in one.truths} | {(one.image, False, row) for row in one.detections}
        if not claims & taken:
            taken |= claims
            kept.append(one)
    return kept
