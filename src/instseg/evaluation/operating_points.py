"""Operating points: the score threshold of each category that serves a goal best, and what it achieves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from instseg.core.arrays import Floats, Rows
from instseg.core.categories import Categories
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.goal import F1, PRECISION, RECALL, Goal
from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.resampling import Weights, in_parts
from instseg.evaluation.score_curves import Counted, ScoreCurve

NOTHING = Estimate(math.nan, math.nan, math.nan)
THRESHOLDS_DRAWN = 500
"""Thresholds of a category to choose from on each draw of the images, so that a validation is not long."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Threshold of one category, which keeps detections with this score or a higher one, and what it achieves.

    The interval of the threshold is over the choice, made anew on each draw of the images; those of the other numbers
    are at this threshold. Without an instance, or a detection that is right, all are NaN.
    """

    category: str
    threshold: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    is_reached: bool
    note: str  # why the goal is not reached; "" where it is


def operating_points(
    pool: InstancePool, assignment: Assignment, categories: Categories, goal: Goal, drawn: Weights
) -> list[OperatingPoint]:
    """Choose the threshold of each category.

    For F1 it is the one with the best F1. For a precision it is the lowest that reaches it, which finds the most. For a
    recall it is the highest that reaches it, which is wrong the least; every lower one reaches it, too. Where none
    reaches the goal, it is the one that comes closest.

    Args:
        pool: the images.
        assignment: of its detections at the IoU that counts.
        categories: names of the labels 1...
        goal: of the thresholds.
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    curves = (ScoreCurve.of(pool, assignment, label) for label in range(1, len(categories) + 1))
    return [_point(name, curve, goal, drawn) for name, curve in zip(categories.names, curves, strict=True)]


def _point(category: str, curve: ScoreCurve, goal: Goal, drawn: Weights) -> OperatingPoint:
    missing = "instance" if not curve.truth_images.size else "detection" if not curve.thresholds.size else ""
    if not missing and not curve.is_right.any():
        missing = "detection that is right"
    if missing:
        note = f"{category}: no {missing} in these images, so there is no threshold to choose"
        return OperatingPoint(category, NOTHING, NOTHING, NOTHING, NOTHING, False, note)
    counted = curve.once(drawn.shape[1])
    chosen = int(_choose(counted, goal)[0])
    achieved = float(_values(counted, goal.measure)[0, chosen])
    is_reached = goal.measure == F1 or achieved >= goal.wanted
    reason = f"{category}: {goal.measure} {goal.wanted:g} is not reached; the best is {achieved:.3f}"
    precision, recall, f1 = estimates(curve.at_threshold(float(curve.thresholds[chosen])), drawn)
    threshold = _threshold(curve, goal, chosen, drawn)
    return OperatingPoint(category, threshold, precision, recall, f1, is_reached, "" if is_reached else reason)


def _threshold(curve: ScoreCurve, goal: Goal, chosen: int, drawn: Weights) -> Estimate:
    thinned = curve.thinned(THRESHOLDS_DRAWN, chosen)

    def choose_anew(weights: Weights) -> Floats:
        return thinned.thresholds[_choose(thinned.counted(weights), goal)][:, None]

    lower = float(curve.thresholds[chosen + 1]) if chosen + 1 < len(curve.thresholds) else math.nan
    value = shortest_between(lower, float(curve.thresholds[chosen]))
    spread = estimates(lambda weights: in_parts(choose_anew, weights, len(thinned.ends)), drawn)[0]
    return Estimate(value, min(spread.low, value), spread.high)


def _values(counted: Counted, measure: str) -> Floats:
    return {F1: counted.f1, PRECISION: counted.precision, RECALL: counted.recall}[measure]()


def _choose(counted: Counted, goal: Goal) -> Rows:
    """Return the place of the best threshold under each weighting, (R,)."""
    values = np.nan_to_num(_values(counted, goal.measure))
    best = values.max(axis=1, keepdims=True)
    is_good = values >= (best if goal.measure == F1 else np.minimum(goal.wanted, best))
    lowest_first = is_good[:, ::-1] if goal.measure == PRECISION else is_good
    places: Rows = np.argmax(lowest_first, axis=1)
    return is_good.shape[1] - 1 - places if goal.measure == PRECISION else places


def shortest_between(low: float, high: float) -> float:
    """Return the number of the fewest digits near the middle of two scores, so that a threshold reads well.

    It lies between them as float32, too, in which scores are compared with it.

    Args:
        low: which the threshold must exclude; NaN for none, and then ``high`` is returned.
        high: which it must include.
    """
    middle = (low + high) / 2
    rounded = (round(middle, digits) for digits in range(1, 17) if not math.isnan(middle))
    return next((value for value in rounded if np.float32(low) < np.float32(value) <= np.float32(high)), high)
