"""Numbers of the masks in evaluated images, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from instseg.analysis.subject import Subject
from instseg.evaluation.assignment import Assignment, assign
from instseg.evaluation.average_precisions import average_precisions
from instseg.evaluation.boundary_ap import boundary_ap
from instseg.evaluation.breakdowns import GroupNumbers, Groups, breakdown, by_border, by_crowding, by_size
from instseg.evaluation.calibration import Calibration, Scored, calibration
from instseg.evaluation.confusion import BACKGROUND, Confusion, confusion, kept_at
from instseg.evaluation.error_costs import ErrorCosts, error_costs
from instseg.evaluation.error_types import MISSED, OF_DETECTIONS, TypedErrors, type_errors
from instseg.evaluation.estimates import Estimate, draws_for, estimates
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.mask_quality import MaskQuality, mask_quality
from instseg.evaluation.resampling import Weights
from instseg.evaluation.score_curves import ScoreCurve

GROUPINGS = {"By size": by_size, "By crowding": by_crowding, "At the border": by_border}
MAX_BOUNDARY_IMAGES = 1000
"""Images of which boundary AP is measured: it takes as long as all else."""
GROUP_DRAWS = 500
"""Draws of the images for the intervals of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that is measured; matches at a mask IoU of 0.5 where nothing else is said."""

    pool: DetailsPool
    assignment: Assignment
    confusion: Confusion
    precisions: dict[str, Estimate]
    """AP by the names of ``CocoMaskMetrics``."""
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
    calibration_before: Calibration | None
    """Of the scores before they were recalibrated; None where they were not."""
    groups: dict[str, list[GroupNumbers]]
    """AP of parts of the objects: by size, crowding, truncation."""
    lost: dict[str, list[int]]
    """Objects of each of these parts that are not found, under their category, at the thresholds."""
    boundary_ap: Estimate | None
    """None of more than MAX_BOUNDARY_IMAGES images."""
    drawn: Weights
    """Draws of the images for the intervals."""

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
    errors, outcomes = type_errors(pool), confusion(pool, assignment, kept, len(categories))
    records = [details.record for details in pool.details]
    grouped = {title: grouping(pool.details) for title, grouping in GROUPINGS.items()}
    return Measured(
        pool,
        assignment,
        outcomes,
        average_precisions(records, categories, drawn),
        [_at(curve, threshold, drawn) for curve, threshold in zip(curves, subject.thresholds.tolist(), strict=True)],
        mask_quality(pool, assignment, kept, categories, drawn),
        curves,
        error_costs(pool, errors, drawn),
        _counts(errors),
        calibration(Scored.of(pool, assignment), drawn),
        _before(subject, pool, assignment, drawn),
        {title: breakdown(pool.details, of, categories, drawn[:GROUP_DRAWS]) for title, of in grouped.items()},
        {title: _lost(outcomes, of) for title, of in grouped.items()},
        boundary_ap(records, evaluated, drawn) if len(records) <= MAX_BOUNDARY_IMAGES else None,
        drawn,
    )


def _lost(outcomes: Confusion, groups: Groups) -> list[int]:
    """Count the objects of each group that are missed, or found under another category."""
    cases = outcomes.cases
    is_lost = (cases.truth_labels != BACKGROUND) & (cases.truth_labels != cases.labels)
    counts: list[int] = np.bincount(groups.truths[cases.truths[is_lost]], minlength=len(groups.names)).tolist()
    return counts


def _counts(errors: TypedErrors) -> dict[str, int]:
    counts = {name: int((~errors.is_ignored[errors.of_type(name)]).sum()) for name in OF_DETECTIONS[1:]}
    return {**counts, MISSED: len(errors.of_type(MISSED))}


def _before(subject: Subject, pool: DetailsPool, assignment: Assignment, drawn: Weights) -> Calibration | None:
    if subject.scores_before is None:
        return None
    of_images = zip(subject.scores_before, pool.details, strict=True)
    scores = np.concatenate([np.zeros(0), *(scores[details.predicted_rows] for scores, details in of_images)])
    scored = replace(Scored.of(pool, assignment), scores=scores[~assignment.is_ignored])
    return calibration(scored, drawn)


def _at(curve: ScoreCurve, threshold: float, drawn: Weights) -> tuple[Estimate, Estimate, Estimate]:
    """Return precision, recall and F1 of a category at a threshold; NaN where undefined."""
    precision, recall, f1 = estimates(curve.at_threshold(threshold), drawn)
    return precision, recall, f1
