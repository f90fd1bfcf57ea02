"""Sections of the report with curves over the score, and with the types of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.line_chart import Bar, Curve, bar_chart, line_chart
from instseg.analysis.page.content import Chart, Charts, Key, Section
from instseg.analysis.wording import shown_name
from instseg.core.categories import Categories
from instseg.evaluation.calibration import Calibration
from instseg.evaluation.error_costs import ErrorCosts
from instseg.evaluation.error_types import BACKGROUND, BOTH, CLASSIFICATION, DUPLICATE, LOCALISATION, MISSED
from instseg.evaluation.estimates import Estimate
from instseg.evaluation.score_curves import ScoreCurve
from instseg.visualization.colours import category_colour

MAX_CURVES = 12
"""Categories with a curve: those with the most instances."""
BEFORE = (240, 160, 80)
"""Colour of the scores before they were recalibrated."""
TYPE_NAMES = {
    CLASSIFICATION: "wrong category", LOCALISATION: "bad mask", BOTH: "both of these", DUPLICATE: "found twice",
    BACKGROUND: "nothing there", MISSED: "missed",
}  # fmt: skip
"""Type of errors -> what the page calls it."""


def curve_section(
    curves: Sequence[ScoreCurve],
    calibration: Calibration,
    categories: Categories,
    thresholds: NDArray[np.float64],
    before: Calibration | None = None,
) -> Section:
    """Show precision against recall, F1 against the threshold, and how far scores can be trusted.

    Args:
        curves: of each category.
        calibration: of all scores.
        categories: names of the labels 1….
        thresholds: (C,) in use.
        before: calibration of the scores before they were recalibrated; None where they were not.
    """
    order = np.argsort([-len(curve.truth_images) for curve in curves], kind="stable")[:MAX_CURVES]
    labels = [label for label in (order + 1).tolist() if len(curves[label - 1].truth_images)]
    drawn = [
        _drawn(curves[label - 1], categories.name(label), category_colour(label), float(thresholds[label - 1]))
        for label in labels
    ]
    charts = [
        Chart("Precision against recall", line_chart([one[0] for one in drawn], "recall", "precision")),
        Chart("F1 against the threshold", line_chart([one[1] for one in drawn], "threshold", "F1"),
              "Dots are the thresholds in use."),
        Chart("Are scores what they say?", _reliability(calibration, before), _calibration_note(calibration, before)),
    ]  # fmt: skip
    keys = [Key(shown_name(categories.name(label)), category_colour(label)) for label in labels]
    explanation = "At a mask IoU of 0.5. A higher threshold makes detections surer and finds fewer objects."
    if len(labels) < len(categories):
        explanation += f" The {len(labels)} categories with the most objects are drawn."
    return Section("curves", "Which threshold", explanation, Charts(charts, keys))


def _drawn(curve: ScoreCurve, name: str, colour: tuple[int, int, int], threshold: float) -> tuple[Curve, Curve]:
    """Return the curves of a category: precision against recall, and F1 against the threshold, which falls in steps."""
    counted = curve.once(int(max([0, *curve.images, *curve.truth_images])) + 1)
    precision, recall, f1 = (values()[0] for values in (counted.precision, counted.recall, counted.f1))
    scores = np.repeat(curve.thresholds[::-1], 2)
    steps = Curve(
        name,
        np.concatenate([[0.0], scores, [1.0]]),
        np.concatenate([np.repeat(f1[::-1], 2), [0.0, 0.0]]),
        colour,
        threshold if len(curve.thresholds) else None,
    )
    return Curve(name, recall, precision, colour), steps


def _reliability(calibration: Calibration, before: Calibration | None) -> str:
    curves = [_reliability_curve("all categories", calibration)]
    if before is not None:
        curves.insert(0, _reliability_curve("before recalibration", before, BEFORE))
    return line_chart(curves, "score", "fraction right", with_diagonal=True)


def _reliability_curve(name: str, calibration: Calibration, colour: tuple[int, int, int] | None = None) -> Curve:
    scores, right = (_values(column) for column in (calibration.mean_scores, calibration.fractions_right))
    is_filled = np.asarray(calibration.counts) > 0
    return Curve(name, scores[is_filled], right[is_filled], colour)


def _calibration_note(calibration: Calibration, before: Calibration | None) -> str:
    if not any(calibration.counts):
        return "There is no detection."
    gaps = np.nan_to_num(_values(calibration.mean_scores) - _values(calibration.fractions_right))
    is_too_sure = float((np.asarray(calibration.counts) * gaps).sum()) > 0
    tendency = "Scores are higher than the fraction that is right" if is_too_sure else "More is right than scores say"
    earlier = f" Before the recalibration it was {before.expected_error} (the orange curve)." if before else ""
    return f"Expected calibration error {calibration.expected_error}. {tendency}, on average.{earlier}"


def _values(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    return np.array([estimate.value for estimate in estimates])


def error_section(errors: ErrorCosts, counts: Mapping[str, int]) -> Section:
    """Show what each type of errors costs.

    Args:
        errors: of all detections.
        counts: of each type.
    """
    bars = [_bar(TYPE_NAMES[name], cost, counts[name]) for name, cost in errors.costs.items()]
    totals = [_bar("all wrong ones", errors.false_positives), _bar("all not found", errors.false_negatives)]
    charts = [
        Chart("By type", bar_chart(bars), "Beside a bar stands its cost, and the number of such errors."),
        Chart("Together", bar_chart(totals)),
    ]
    explanation = (
        "AP at a mask IoU of 0.5 that would be gained if the errors of one type alone were fixed (TIDE; Bolya et al., "
        "2020), with the 95 % interval as a line. All detections count here, whatever their score. The costs do not "
        "add up: errors hide each other."
    )
    return Section("errors", "What the errors cost", explanation, Charts(charts))


def _bar(name: str, cost: Estimate, count: int | None = None) -> Bar:
    interval = None if np.isnan(cost.low) else (cost.low, cost.high)
    counted = "" if count is None else f" · {count:,}"
    value = 0.0 if np.isnan(cost.value) else cost.value
    return Bar(name, value, f"{value:.3f}{counted}", interval)
