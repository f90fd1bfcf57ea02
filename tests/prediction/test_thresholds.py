"""The threshold of each category: from the checkpoint, from the user, or 0.5."""

from __future__ import annotations

import numpy as np
import pytest
from described import POINTS
from detections import CAR, CATEGORIES, DOG, LEFT, prediction

from instseg.checkpoints.operating_points import OperatingPoints
from instseg.core.errors import InstsegError
from instseg.prediction.thresholds import choose_thresholds

CHOSEN = "best F1 on 16 validation images"
NO_POINTS = "the model has no operating points"
NONE_OF_CAKE = "0.5 for cake, of which nothing was found in val"


@pytest.mark.parametrize(
    ("asked", "points", "by_category", "said"),
    [
        ("auto", POINTS, (0.62, 0.3, 0.5), f"car 0.62, dog 0.3, cake 0.5 ({CHOSEN}; {NONE_OF_CAKE})"),
        ("auto", None, (0.5, 0.5, 0.5), f"0.5 ({NO_POINTS})"),
        (0.7, POINTS, (0.7, 0.7, 0.7), "0.7"),
        (np.float32(0.25), None, (0.25, 0.25, 0.25), "0.25"),
        ({"cake": 1, "dog": 0.1}, POINTS, (0.62, 0.1, 1), f"car 0.62, dog 0.1, cake 1 (cake, dog as given; {CHOSEN})"),
        ({"dog": 0.1}, None, (0.5, 0.1, 0.5), f"car 0.5, dog 0.1, cake 0.5 (dog as given; {NO_POINTS})"),
        ({"car": 0, "dog": 1, "cake": 0}, POINTS, (0, 1, 0), "car 0, dog 1, cake 0 (car, dog, cake as given)"),
    ],
)  # fmt: skip
def test_what_is_given_comes_before_what_was_measured_and_the_rest_is_a_half(asked, points, by_category, said):
    thresholds = choose_thresholds(asked, CATEGORIES, points)
    assert thresholds.by_category == dict(zip(CATEGORIES.names, by_category, strict=True))
    assert str(thresholds) == said


def test_each_category_is_held_to_its_own_and_a_score_that_equals_it_is_kept():
    made = prediction(1, [LEFT] * 4, scores=[0.62, 0.61, 0.62, 0.29], labels=[CAR, CAR, DOG, DOG])
    assert choose_thresholds("auto", CATEGORIES, POINTS).is_kept(made).tolist() == [True, False, True, False]
    assert choose_thresholds(0.62, CATEGORIES, POINTS).is_kept(made).tolist() == [True, False, True, False]
    assert choose_thresholds("auto", CATEGORIES, POINTS).is_kept(made.select(made.scores > 1)).tolist() == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dgo": 0.5}, "score_threshold: no category named dgo. Did you mean dog\\? The model has car, dog, cake"),
        ({"dog": "auto"}, "score_threshold={'dog': 'auto'}: expected a number from 0 to 1, or auto"),
        (1.5, "score_threshold=1.5: expected a number from 0 to 1, or auto, or numbers by category such as {car: 0.3"),
        ("best", "score_threshold=best: expected"),
        (True, "score_threshold=True: expected"),
        (float("nan"), "score_threshold=nan: expected"),
        (None, "score_threshold=None: expected"),
    ],
)
def test_what_is_no_threshold_is_refused(asked, message):
    with pytest.raises(InstsegError, match=message):
        choose_thresholds(asked, CATEGORIES, POINTS)


def test_the_origin_names_the_goal():
    points = OperatingPoints("recall:0.95", 1, POINTS.points)
    assert (
        choose_thresholds({"cake": 0}, CATEGORIES, points).origin == "cake as given; recall 0.95 on 1 validation image"
    )
