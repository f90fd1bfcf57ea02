"""Operating points in a checkpoint: the score threshold of each category, and what it achieved in validation.

The recalibration of the scores, where there is one, comes first: thresholds are of recalibrated scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import msgspec

from instseg.core.recalibration import Isotonic, Recalibration, recalibrated
from instseg.core.text import plural
from instseg.core.types import Prediction


class StoredEstimate(msgspec.Struct, frozen=True):
    """A number with its interval of 95 %, without ends where the images were too few for one."""

    value: float
    low: float | None = None
    high: float | None = None


class StoredPoint(msgspec.Struct, frozen=True):
    """Threshold of one category, which keeps detections with this score or a higher one, and what it achieves."""

    category: str
    threshold: StoredEstimate
    precision: StoredEstimate
    recall: StoredEstimate
    f1: StoredEstimate
    is_reached: bool  # the goal; the threshold is else the one that comes closest


class StoredRecalibration(msgspec.Struct, frozen=True):
    """Recalibration of the scores, fitted on the validation images, and what it does to their calibration error."""

    function: Recalibration
    error_before: float
    error_after: float  # of images that were held out of the fit, a fifth at a time

    def applied_to(self, prediction: Prediction) -> Prediction:
        """Return a prediction with recalibrated scores, in the same order."""
        return replace(prediction, scores=recalibrated(self.function, prediction.scores))

    def __str__(self) -> str:
        """Return ``isotonic: calibration error 0.120, recalibrated 0.034 on validation images``."""
        kind = "isotonic" if isinstance(self.function, Isotonic) else "temperature"
        errors = f"calibration error {self.error_before:.3f}, recalibrated {self.error_after:.3f}"
        return f"{kind}: {errors} on validation images"


class OperatingPoints(msgspec.Struct, frozen=True):
    """Thresholds chosen on the validation images; a category of which nothing is found there has none."""

    goal: str  # as the key operating_point has it
    num_images: Annotated[int, msgspec.Meta(ge=0)]
    points: list[StoredPoint]
    recalibration: StoredRecalibration | None = None  # of the scores, before they are compared with the thresholds

    @property
    def thresholds(self) -> dict[str, float]:
        """Score threshold by category, of those that have one."""
        return {point.category: point.threshold.value for point in self.points}

    @property
    def origin(self) -> str:
        """The goal and the images in words: ``best F1 on 16 validation images``."""
        return f"{self.goal_in_words} on {plural(self.num_images, 'validation image')}"

    @property
    def goal_in_words(self) -> str:
        """``best F1``, ``precision 0.9`` or ``recall 0.95``."""
        return "best F1" if self.goal == "f1" else self.goal.replace(":", " ")

    @property
    def missed(self) -> dict[str, float]:
        """The precision or recall of each category that does not reach the goal."""
        is_precision = self.goal.startswith("precision")
        missed = [point for point in self.points if not point.is_reached]
        return {point.category: (point.precision if is_precision else point.recall).value for point in missed}

    def flat(self) -> dict[str, float]:
        """Return the numbers by the names that they have in ``metrics.json``."""
        table: dict[str, float] = {}
        for point in self.points:
            numbers = {"": point.threshold, "_precision": point.precision, "_recall": point.recall, "_f1": point.f1}
            table |= {f"val/operating_point{key}/{point.category}": one.value for key, one in numbers.items()}
        if self.recalibration:
            table["val/calibration_error"] = self.recalibration.error_before
            table["val/calibration_error_recalibrated"] = self.recalibration.error_after
        return table


def recalibrated_by(points: OperatingPoints | None, predictions: Iterable[Prediction]) -> list[Prediction]:
    """Return predictions as the thresholds of a checkpoint take them: with recalibrated scores, where it has them so.

    Args:
        points: of the checkpoint; None where it has none.
        predictions: with the scores of the network.
    """
    recalibration = points.recalibration if points else None
    return [recalibration.applied_to(one) for one in predictions] if recalibration else [*predictions]


def stored_estimate(value: float, low: float, high: float) -> StoredEstimate:
    """Return a number as it is stored.

    Args:
        value: of the estimate.
        low: of its interval; NaN for none.
        high: of its interval; NaN for none.
    """
    return StoredEstimate(value) if math.isnan(low) else StoredEstimate(value, low, high)
