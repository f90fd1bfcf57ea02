"""Numbers of the masks in evaluated images, with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.subject import Subject
from instseg.core.categories import Categories
from instseg.evaluation.assignment import Assignment, assign
from instseg.evaluation.bootstrap import CHUNK, Weights, ap_interval
from instseg.evaluation.breakdowns import GroupNumbers, breakdown, by_border, by_crowding, by_size
from instseg.evaluation.calibration import Calibration, Scored, calibration
from instseg.evaluation.chance import MIN_IMAGES
from instseg.evaluation.confusion import Confusion, confusion, kept_at
from instseg.evaluation.error_costs import ErrorCosts, error_costs
from instseg.evaluation.error_types import MISSED, OF_DETECTIONS, TypedErrors, type_errors
from instseg.evaluation.estimates import Estimate, draws_for, estimates, ratios
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.mask_quality import MaskQuality, mask_quality
from instseg.evaluation.metrics import evaluate_records
from instseg.evaluation.score_curves import ScoreCurve

GROUPINGS = {"By size": by_size, "By crowding": by_crowding, "At the border": by_border}
GROUP_DRAWS = 500
"""Draws of the images for the intervals of these."""
MAX_INTERVALS = 30
"""Categories whose AP gets an interval: those with the most instances."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that is measured; matches at a mask IoU of 0.5 where nothing else is said."""

    pool: DetailsPool
    assignment: Assignment
    confusion: Confusion
    precisions: dict[str, Estimate]
    """AP by the names of ``evaluate_records``."""
    at: list[tuple[Estimate, Estimate, Estimate]]
    """Precision, recall and F1 of each category at its threshold."""
    masks: list[MaskQuality]
    """Of all categories, and of each."""
    curves: list[ScoreCurve]
    """Of each category."""
    errors: ErrorCosts
    error_counts: dict[str, int]
    """Errors of each type; those in crowds, which cost nothing, are left out."""
    calibration: Calibration
    groups: dict[str, list[GroupNumbers]]
    """AP of parts of the objects: by size, crowding, truncation."""

    @property
    def num_images(self) -> int:
        """Evaluated images."""
        return len(self.pool.details)


def measure(subject: Subject) -> Measured:
    """Measure the masks of the evaluated images."""
    evaluated, categories = subject.evaluated, subject.evaluated.categories
    pairs = zip(evaluated.predictions, evaluated.truths, strict=True)
    pool = DetailsPool.of([ImageDetails.build(*image) for image in pairs])
    assignment, drawn = assign(pool), draws_for(len(evaluated), len(pool.rows.labels))
    thresholds = dict(zip(categories.names, subject.thresholds.tolist(), strict=True))
    kept = kept_at(pool, categories, thresholds)
    curves = [ScoreCurve.of(pool, assignment, label) for label in range(1, len(categories) + 1)]
    errors = type_errors(pool)
    return Measured(
        pool,
        assignment,
        confusion(pool, assignment, kept, len(categories)),
        _precisions(pool, categories),
        [_at_threshold(curve, threshold, drawn) for curve, threshold in zip(curves, subject.thresholds, strict=True)],
        mask_quality(pool, assignment, kept, categories, drawn),
        curves,
        error_costs(pool, errors, drawn),
        _counts(errors),
        calibration(Scored.of(pool, assignment), drawn),
        {title: breakdown(pool, groups(pool), categories, drawn[:GROUP_DRAWS]) for title, groups in GROUPINGS.items()},
    )


def _counts(errors: TypedErrors) -> dict[str, int]:
    counts = {name: int((~errors.is_ignored[errors.of_type(name)]).sum()) for name in OF_DETECTIONS[1:]}
    return {**counts, MISSED: len(errors.of_type(MISSED))}


def _precisions(pool: DetailsPool, categories: Categories) -> dict[str, Estimate]:
    """Return AP of all masks and of each category; the most frequent categories' with an interval."""
    records = [details.record for details in pool.details]
    metrics = evaluate_records(records, categories)
    counts = np.bincount(pool.rows.truth_labels, minlength=len(categories) + 1)[1:]
    frequent = {categories.names[row] for row in np.argsort(-counts, kind="stable")[:MAX_INTERVALS] if counts[row]}
    precisions = {}
    wanted = {"segm_map": "", "segm_map_50": "", **{f"segm_map/{name}": name for name in categories.names}}
    for name, category in wanted.items():
        has_interval = len(records) >= MIN_IMAGES and (not category or category in frequent)
        interval = ap_interval(records, categories, name) if has_interval else (math.nan, math.nan)
        precisions[name] = Estimate(metrics.get(name, math.nan), *interval)
    return precisions


def _at_threshold(curve: ScoreCurve, threshold: float, drawn: Weights) -> tuple[Estimate, Estimate, Estimate]:
    """Return precision, recall and F1 of a category at a threshold; NaN where undefined.

    Args:
        curve: of the category.
        threshold: detections with this score or a higher one are kept.
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    num_kept = int((curve.thresholds >= np.float32(threshold)).sum())  # scores are of that precision
    last = int(curve.ends[num_kept - 1]) + 1 if num_kept else 0
    images, is_right = curve.images[:last], curve.is_right[:last]

    def measure(weights: Weights) -> NDArray[np.float64]:
        right = weights[:, images[is_right]].sum(axis=1)
        kept, positives = weights[:, images].sum(axis=1), weights[:, curve.truth_images].sum(axis=1)
        return np.stack([ratios(right, kept), ratios(right, positives), ratios(2 * right, kept + positives)], axis=1)

    def in_parts(weights: Weights) -> NDArray[np.float64]:
        step = max(1, CHUNK // max(last, len(curve.truth_images), 1))
        return np.concatenate([measure(weights[start : start + step]) for start in range(0, len(weights), step)])

    precision, recall, f1 = estimates(in_parts, drawn)
    return precision, recall, f1
