"""Types of errors and what they cost: drawn by hand, and equal to the numbers of the published tool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detections import (
    CAR,
    DOG,
    EVERYTHING,
    LEFT,
    RIGHT,
    TOP_LEFT_PAIR,
    pool_of,
    prediction,
    random_images,
    truth,
)
from factories import drawn

from instseg.evaluation.error_costs import error_costs
from instseg.evaluation.error_types import MISSED, OF_DETECTIONS, TYPES, type_errors
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.intervals import draw

QUARTER = drawn("##......", "........", "........", "........")  # of LEFT
TENTH = drawn("...#####", ".....###", ".....###", ".....###")  # shares 1 of 21 pixels with LEFT


def types_of(prediction, truth, **options):
    """The types of the detections by label, best score first."""
    return [OF_DETECTIONS[number] for number in type_errors(pool_of([prediction], [truth]), **options).types]


@pytest.mark.parametrize(
    ("mask", "label", "expected"),
    [
        (LEFT, CAR, "right"),
        (TOP_LEFT_PAIR, CAR, "right"),  # an IoU of just a half
        (LEFT, DOG, "classification"),
        (QUARTER, CAR, "localisation"),
        (QUARTER, DOG, "both"),
        (TENTH, CAR, "background"),
        (RIGHT, DOG, "background"),
    ],
)
def test_a_detection_is_of_the_type_that_its_mask_and_category_say(mask, label, expected):
    assert types_of(prediction(1, [mask], labels=[label]), truth(1, [LEFT])) == [expected]


def test_the_second_detection_of_an_instance_is_a_duplicate():
    assert types_of(prediction(1, [LEFT, LEFT], [0.5, 0.9]), truth(1, [LEFT])) == ["right", "duplicate"]


def test_a_detection_counts_among_the_best_of_an_image_alone():
    errors = type_errors(pool_of([prediction(1, [LEFT, RIGHT], [0.5, 0.9])], [truth(1, [LEFT])]), limit=1)
    assert errors.types.tolist() == [OF_DETECTIONS.index("background"), -1] and errors.is_missed.tolist() == [True]


def test_an_instance_is_missed_that_no_better_category_or_mask_would_find():
    made = prediction(1, [LEFT, QUARTER], labels=[DOG, CAR])
    assert type_errors(pool_of([made], [truth(1, [LEFT, RIGHT])])).of_type(MISSED).tolist() == [1]
    crowd = truth(1, [LEFT], iscrowd=[True])
    assert type_errors(pool_of([prediction(1, [])], [crowd])).of_type(MISSED).tolist() == []


def test_what_lies_in_a_crowd_costs_nothing():
    made = prediction(1, [LEFT, RIGHT], [0.9, 0.8])
    pool = pool_of([made], [truth(1, [EVERYTHING, RIGHT], iscrowd=[True, False])])
    errors = type_errors(pool)
    assert errors.is_ignored.tolist() == [True, False]
    assert error_costs(pool, errors, draws_for(1, 2)).ap.value == pytest.approx(1)


def test_a_cost_is_what_average_precision_gains_when_these_errors_alone_are_fixed():
    made = prediction(1, [LEFT, RIGHT], [0.9, 0.8], labels=[DOG, CAR])
    pool = pool_of([made], [truth(1, [LEFT, RIGHT])])
    costs = error_costs(pool, type_errors(pool), draws_for(1, 2))
    ap = 51 / 101 / 2  # half of the cars are found, at 51 of 101 recalls; there is no dog, and one is seen
    assert costs.ap.value == pytest.approx(ap) and np.isnan(costs.ap.low)
    assert costs.costs["classification"].value == pytest.approx(1 - ap)
    assert costs.false_positives.value == pytest.approx(0) and costs.false_negatives.value == pytest.approx(0.5 - ap)
    assert sum(cost.value for cost in costs.costs.values()) == costs.costs["classification"].value
    assert costs.counts == dict.fromkeys(TYPES, 0) | {"classification": 1}


def numbers_of(costs):
    return [costs.ap, *(costs.costs[name] for name in TYPES), costs.false_positives, costs.false_negatives]


@pytest.mark.parametrize(
    ("seed", "numbers", "counts"),
    [  # as tidecv 1.0.1 prints them, which benchmarks/references.py compares with ours on hundreds of inputs
        (
            9,
            [0.3250083734941, 0.02402147454564, 0.12171930767737, 0.00848428611669, 0.00910670468038, 0.14977807573905,
             0.06611716830021, 0.35815994333758, 0.15817302312894],
            [1, 8, 6, 4, 31, 8],
        ),
        (
            38,
            [0.18758447273299, 0.00040317218535, 0.19302397272694, 0.00100444827091, 0.00173785494491, 0.13695882408754,
             0.07013624439367, 0.3008643721515, 0.19464693722119],
            [1, 11, 5, 3, 35, 10],
        ),
    ],
)  # fmt: skip
def test_random_images_with_crowds_and_ties_have_the_numbers_of_tidecv(seed, numbers, counts):
    pool = pool_of(*random_images(seed, num_images=12, labels=(1, 2, 3)))
    costs = error_costs(pool, type_errors(pool), draws_for(12, 100))
    assert [one.value for one in numbers_of(costs)] == pytest.approx(numbers, abs=1e-12)
    assert list(costs.counts.values()) == counts


def test_in_a_draw_an_image_that_is_drawn_twice_counts_as_two_images():
    made, truths = random_images(9, num_images=12, labels=(1, 2, 3))
    rng = np.random.default_rng(0)
    made = [replace(one, scores=rng.random(len(one)).astype(np.float32)) for one in made]  # without ties
    order = np.argsort([one.image_id for one in truths]).tolist()
    weights = draw(12, 1, seed=3)[0]
    copies = [
        [
            replace(each[row], image_id=100 * place + copy)
            for place, row in enumerate(order)
            for copy in range(weights[place])
        ]
        for each in (made, truths)
    ]
    pool, repeated = pool_of(made, truths), pool_of(*copies)
    drawn = error_costs(pool, type_errors(pool), np.stack([weights, weights]))
    expected = error_costs(repeated, type_errors(repeated), np.zeros((0, len(copies[0])), np.int64))
    for found, number in zip(numbers_of(drawn), numbers_of(expected), strict=True):
        assert (found.low, found.high) == pytest.approx((number.value, number.value))
