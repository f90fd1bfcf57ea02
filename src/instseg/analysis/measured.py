"""Numbers of a split that the report tells, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instseg.analysis.section_table import Precisions
from instseg.analysis.subject import Subject
from instseg.core.categories import Categories
from instseg.evaluation.assignment import assign
from instseg.evaluation.bootstrap import ap_interval
from instseg.evaluation.calibration import Calibration, Scored, calibration
from instseg.evaluation.chance import MIN_IMAGES
from instseg.evaluation.error_costs import ErrorCosts, error_costs
from instseg.evaluation.error_types import type_errors
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.metrics import evaluate_records
from instseg.evaluation.score_curves import ScoreCurve

MAX_INTERVALS = 30
"""Categories that get an interval: those with the most instances."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Numbers of the masks in the evaluated images."""

    num_images: int
    precisions: Precisions
    curves: list[ScoreCurve]
    """Of each category, at a mask IoU of 0.5."""
    errors: ErrorCosts
    calibration: Calibration


def measure(subject: Subject) -> Measured:
    """Measure the masks of the evaluated images."""
    evaluated, categories = subject.evaluated, subject.evaluated.categories
    pairs = zip(evaluated.predictions, evaluated.truths, strict=True)
    pool = DetailsPool.of([ImageDetails.build(*image) for image in pairs])
    records = [details.record for details in pool.details]
    assignment, drawn = assign(pool), draws_for(len(records), len(pool.rows.labels))
    return Measured(
        len(records),
        Precisions(evaluate_records(records, categories), _intervals(pool, categories)),
        [ScoreCurve.of(pool, assignment, label) for label in range(1, len(categories) + 1)],
        error_costs(pool, type_errors(pool), drawn),
        calibration(Scored.of(pool, assignment), drawn),
    )


def _intervals(pool: DetailsPool, categories: Categories) -> dict[str, tuple[float, float]]:
    records = [details.record for details in pool.details]
    if len(records) < MIN_IMAGES:
        return {}
    counts = np.bincount(pool.rows.truth_labels, minlength=len(categories) + 1)[1:]
    frequent = [row for row in np.argsort(-counts, kind="stable")[:MAX_INTERVALS].tolist() if counts[row]]
    names = ["segm_map", "segm_map_50", *(f"segm_map/{categories.names[row]}" for row in frequent)]
    return {name: ap_interval(records, categories, name) for name in names}
