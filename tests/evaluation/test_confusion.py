"""The matrix of categories adds up, its diagonal is what AP counts as right, and every cell opens its cases."""

from __future__ import annotations

import numpy as np
import pytest
from detections import (
    CAKE,
    CAR,
    CATEGORIES,
    DOG,
    EVERYTHING,
    LEFT,
    RIGHT,
    pool_of,
    prediction,
    random_images,
    truth,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.evaluation.assignment import assign
from instseg.evaluation.confusion import BACKGROUND, confusion, kept_at
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.one_to_one import NONE
from instseg.evaluation.outcomes import outcomes_of


def confused(predictions, truths, **thresholds):
    pool = pool_of(predictions, truths)
    kept = kept_at(pool, CATEGORIES, {"car": 0.5, "dog": 0.5, "cake": 0.5} | thresholds)
    return confusion(pool, assign(pool), kept, len(CATEGORIES))


def test_a_cell_holds_how_often_a_category_was_detected_as_another_or_not_at_all():
    made = prediction(1, [LEFT, RIGHT, EVERYTHING], labels=[DOG, CAR, CAKE])
    matrix = confused([made], [truth(1, [LEFT, RIGHT, RIGHT], labels=[CAR, CAR, DOG])]).matrix
    expected = np.zeros((4, 4), int)
    expected[CAR, DOG] = expected[CAR, CAR] = expected[DOG, BACKGROUND] = expected[BACKGROUND, CAKE] = 1
    assert matrix.tolist() == expected.tolist()


def test_an_instance_goes_to_its_own_category_before_a_better_score_of_another():
    found = confused([prediction(1, [LEFT, LEFT], [0.9, 0.6], [DOG, CAR])], [truth(1, [LEFT])])
    assert found.matrix[CAR, CAR] == found.matrix[BACKGROUND, DOG] == found.matrix.sum() - 1 == 1


def test_detections_below_the_threshold_of_their_category_are_not_there():
    images = [prediction(1, [LEFT, RIGHT], [0.9, 0.6], [DOG, CAR])], [truth(1, [LEFT, RIGHT])]
    assert confused(*images, car=0.6).matrix[CAR].tolist() == [0, 1, 1, 0]
    assert confused(*images, car=0.7).matrix[CAR].tolist() == [1, 0, 1, 0]
    assert confused(*images, car=np.nan, dog=np.nan).matrix[CAR].tolist() == [2, 0, 0, 0]


def test_a_detection_in_a_crowd_is_counted_beside_the_matrix():
    found = confused([prediction(1, [LEFT])], [truth(1, [EVERYTHING], iscrowd=[True])])
    assert found.matrix.sum() == 0 and found.in_crowds.tolist() == [0, 1, 0, 0]


def test_a_case_names_the_image_and_the_rows_in_its_ground_truth_and_prediction():
    made = [prediction(7, []), prediction(8, [RIGHT, LEFT], [0.6, 0.9], [CAR, DOG])]
    cases = confused(made, [truth(7, [LEFT]), truth(8, [RIGHT, LEFT])]).cases
    (place,) = cases.of(CAR, DOG).tolist()
    assert (cases.images[place], cases.truth_rows[place], cases.predicted_rows[place]) == (1, 1, 1)
    assert cases.scores[place] == pytest.approx(0.9) and cases.ious[place] == 1
    (missed,) = cases.of(CAR, BACKGROUND).tolist()
    assert (cases.images[missed], cases.truth_rows[missed], cases.predicted_rows[missed]) == (0, 0, NONE)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_rows_sum_to_the_instances_and_columns_to_the_detections(seed, threshold):
    predictions, truths = random_images(seed, num_images=4, labels=(CAR, DOG, CAKE))
    found = confused(predictions, truths, car=threshold, dog=threshold, cake=threshold)
    for label in (CAR, DOG, CAKE):
        instances = sum(((true.labels == label) & ~true.iscrowd).sum() for true in truths)
        kept = [made.select((made.scores >= threshold) & (made.labels == label)) for made in predictions]
        right = sum(outcomes_of(*pair).is_right.sum() for pair in zip(kept, truths, strict=True))
        assert found.matrix[label].sum() == instances
        assert found.matrix[:, label].sum() + found.in_crowds[label] == sum(map(len, kept))
        assert found.matrix[label, label] == right
    assert found.matrix[BACKGROUND, BACKGROUND] == 0
    for truth_label, label in np.ndindex(4, 4):
        assert len(found.cases.of(truth_label, label)) == found.matrix[truth_label, label]


def test_a_cell_as_a_fraction_of_its_row_has_an_interval_over_images():
    found = confused(*random_images(2, num_images=20))
    fractions = found.fractions(draws_for(20, 100), range(4))
    right = fractions[CAR, CAR]
    assert right.value == found.matrix[CAR, CAR] / found.matrix[CAR].sum() and right.low < right.value < right.high
    assert sum(one.value for (row, _), one in fractions.items() if row == CAR) == pytest.approx(1)
