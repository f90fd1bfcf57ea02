"""Every number of the analysis is defined or NaN, and none is an error, where there is nothing to measure."""

from __future__ import annotations

import math

import pytest
from detections import CATEGORIES, EVERYTHING, LEFT, pool_of, prediction, truth

from instseg.evaluation.assignment import assign
from instseg.evaluation.boundaries import with_boundaries
from instseg.evaluation.breakdowns import breakdown, by_border, by_crowding, by_size
from instseg.evaluation.calibration import Scored, calibration
from instseg.evaluation.confusion import confusion, kept_at
from instseg.evaluation.error_costs import error_costs
from instseg.evaluation.error_types import type_errors
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.mask_quality import mask_quality
from instseg.evaluation.operating_points import Goal, operating_points
from instseg.evaluation.recalibration import expected_error_after, fit_isotonic, fit_temperature

IMAGES = {
    "no image": ([], []),
    "empty images": ([prediction(i, []) for i in range(4)], [truth(i, []) for i in range(4)]),
    "detections alone": ([prediction(i, [LEFT]) for i in range(4)], [truth(i, []) for i in range(4)]),
    "instances alone": ([prediction(i, []) for i in range(4)], [truth(i, [LEFT]) for i in range(4)]),
    "crowds alone": (
        [prediction(i, [LEFT]) for i in range(4)],
        [truth(i, [EVERYTHING], iscrowd=[True]) for i in range(4)],
    ),
}


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_what_cannot_be_measured_is_nan(images):
    pool = pool_of(*images)
    drawn, assignment = draws_for(len(images[0]), len(pool.images)), assign(pool)
    kept = kept_at(pool, CATEGORIES, dict.fromkeys(CATEGORIES.names, 0.5))
    costs = error_costs(pool, type_errors(pool), drawn)
    assert math.isnan(costs.ap.value) or costs.ap.value == 0
    points = operating_points(pool, assignment, CATEGORIES, Goal(), drawn)
    assert all(math.isnan(point.threshold.value) and point.note for point in points)
    matrix = confusion(pool, assignment, kept, len(CATEGORIES))
    assert matrix.matrix.sum() in (0, 4) and set(matrix.fractions(drawn, range(4))) <= {(1, 0)}
    quality = mask_quality(pool, assignment, kept, CATEGORIES, drawn)
    assert all(one.num_matches == 0 and math.isnan(one.dice.value) for one in quality[1:])  # the mean has 0 for them
    for groups in (by_size(pool.details), by_crowding(pool.details), by_border(pool.details)):
        measured = breakdown(pool.details, groups, CATEGORIES, drawn)
        assert all(math.isnan(group.ap.value) or group.ap.value == 0 for group in measured)
    scored = Scored.of(pool, assignment)
    assert calibration(scored, drawn).expected_error.value == pytest.approx(0.9 * bool(len(scored.scores)))
    assert expected_error_after(fit_temperature, scored) >= 0 <= expected_error_after(fit_isotonic, scored)
    for pair, one in zip(zip(*images, strict=True), pool.details, strict=True):
        assert len(with_boundaries(one.record, *pair).masks.ious) in (0, 1)
