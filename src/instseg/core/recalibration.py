"""Recalibration of scores: monotone functions, of a few numbers each, that a checkpoint keeps."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats

MARGIN = 1e-6  # of scores to 0 and 1, whose logits are infinite
KEPT = 0.01
"""Part of the score itself in a recalibrated one, so that a function with level parts keeps the order of detections."""

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Temperature(msgspec.Struct, frozen=True, tag="temperature"):
    """Division of the logit of a score by one number (Guo et al., 2017); ranks stay as they are."""

    temperature: Annotated[float, msgspec.Meta(gt=0)]

    def __call__(self, scores: Floats) -> Floats:
        """Return the recalibrated scores, of any shape, 0 to 1."""
        return np.asarray(1 / (1 + np.exp(-logits(scores) / self.temperature)), dtype=np.float64)


class Isotonic(msgspec.Struct, frozen=True, tag="isotonic"):
    """Line through points that never falls (Zadrozny & Elkan, 2002); scores between level points become equal."""

    scores: tuple[Fraction, ...]  # ascending
    fractions: tuple[Fraction, ...]  # of detections that are right, not descending

    def __post_init__(self) -> None:
        """Refuse points that are no such line."""
        is_line = len(self.scores) == len(self.fractions) > 0 and all(low < high for low, high in pairwise(self.scores))
        if not is_line or any(low > high for low, high in pairwise(self.fractions)):
            raise ValueError("expected as many fractions, none lower than the one before, as ascending scores")

    def __call__(self, scores: Floats) -> Floats:
        """Return the recalibrated scores, of any shape, 0 to 1."""
        return np.interp(scores, self.scores, self.fractions)


Recalibration = Temperature | Isotonic


def recalibrated(recalibration: Recalibration, scores: NDArray[np.float32] | Floats) -> NDArray[np.float32]:
    """Return recalibrated scores in the order of those given: none that was higher becomes lower.

    Args:
        recalibration: the function.
        scores: of any shape, 0 to 1.
    """
    exact = np.asarray(scores, dtype=np.float64)
    return ((1 - KEPT) * recalibration(exact) + KEPT * exact).astype(np.float32)


def logits(scores: Floats) -> Floats:
    """Return the logits of scores, of any shape, 0 to 1; those of 0 and 1 as of scores beside these."""
    inside = np.clip(scores, MARGIN, 1 - MARGIN)
    found: Floats = np.log(inside / (1 - inside))
    return found
