"""Cases: an object that was missed, or a detection that is false, confused, badly cut out, or repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Cell = tuple[int, int]
"""Cell of the confusion matrix: label of the object and of the detection, 0 where there is none."""


class Pictured(Protocol):
    """A case or suspicion in one image, as far as a page needs it to show it."""

    @property
    def image(self) -> int:
        """Position among the evaluated images."""
        ...

    @property
    def truths(self) -> tuple[int, ...]:
        """Rows of the instances in question."""
        ...

    @property
    def detections(self) -> tuple[int, ...]:
        """Rows of the detections in question."""
        ...


class Kind(StrEnum):
    """Kinds of cases."""

    MISSED = "missed"
    FALSE = "false"
    CONFUSED = "confused"
    BAD_MASK = "bad_mask"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Case:
    """An instance, a detection, or a pair of them that is not as it should be."""

    kind: Kind
    image: int
    """Position among the evaluated images."""
    truth: int | None
    """Row of the instance in its image."""
    detection: int | None
    """Row of the detection. Of a missed instance: one that finds it below the threshold."""
    iou: float = 0.0
    cost: float = 0.0
    """About what it takes from the mask AP at an IoU of 0.50."""

    @property
    def truths(self) -> tuple[int, ...]:
        """Rows of the instances in question: one or none."""
        return () if self.truth is None else (self.truth,)

    @property
    def detections(self) -> tuple[int, ...]:
        """Rows of the detections in question: one or none."""
        return () if self.detection is None else (self.detection,)


def of_kind(cases: Sequence[Case], kind: Kind) -> list[Case]:
    """Return the cases of a kind, in their order.

    Args:
        cases: of several kinds.
        kind: that is wanted.
    """
    return [case for case in cases if case.kind == kind]
