"""Thresholds of categories: the best ones by trying all, what they achieve, and what is said where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from detections import CAR, CATEGORIES, DOG, EVERYTHING, LEFT, RIGHT, pool_of, prediction, random_images, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.evaluation.assignment import assign
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.goal import Goal
from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.matching import FOUND, IGNORED, match
from instseg.evaluation.operating_points import operating_points, shortest_between
from instseg.evaluation.outcomes import outcomes_of


def points(predictions, truths, goal="f1"):
    pool = pool_of(predictions, truths)
    drawn = draws_for(len(truths), len(pool.images))
    return dict(
        zip(CATEGORIES.names, operating_points(pool, assign(pool), CATEGORIES, Goal.parse(goal), drawn), strict=True)
    )


def test_the_threshold_of_the_best_f1_keeps_what_is_right_and_drops_what_is_wrong():
    made = prediction(1, [LEFT, RIGHT, EVERYTHING], [0.9, 0.8, 0.3])
    car = points([made], [truth(1, [LEFT, RIGHT])])["car"]
    assert (car.threshold.value, car.precision.value, car.recall.value, car.f1.value) == (0.6, 1, 1, 1)
    assert car.is_reached and not car.note and math.isnan(car.f1.low)


def test_a_precision_is_reached_by_the_lowest_threshold_and_a_recall_by_the_highest():
    made = prediction(1, [LEFT, EVERYTHING, RIGHT, EVERYTHING], [0.9, 0.7, 0.5, 0.3])
    images = [made], [truth(1, [LEFT, RIGHT])]
    assert points(*images, "precision:0.6")["car"].threshold.value == 0.4  # 2 of 3, where also 1 of 1 would do
    assert points(*images, "precision:0.9")["car"].threshold.value == 0.8
    assert points(*images, "recall:0.5")["car"].threshold.value == 0.8
    assert points(*images, "recall:0.51")["car"].threshold.value == 0.4


def test_a_goal_that_is_not_reached_is_named_with_the_best_there_is():
    made = prediction(1, [LEFT, EVERYTHING, EVERYTHING], [0.9, 0.95, 0.97])
    found = points([made], [truth(1, [LEFT, RIGHT], labels=[CAR, CAR])], "precision:0.9")["car"]
    assert not found.is_reached and found.note == "car: precision 0.9 is not reached; the best is 0.333"
    assert found.threshold.value == pytest.approx(0.9) and found.precision.value == pytest.approx(1 / 3)


def test_without_an_instance_or_a_detection_there_is_no_threshold():
    found = points([prediction(1, [LEFT])], [truth(1, [LEFT], labels=[DOG])])
    assert found["car"].note == "car: no instance in these images, so there is no threshold to choose"
    assert found["dog"].note == "dog: no detection in these images, so there is no threshold to choose"
    assert math.isnan(found["car"].threshold.value) and not found["dog"].is_reached
    for goal in ("f1", "precision:0.9", "recall:0.9"):
        wrong = points([prediction(1, [LEFT])], [truth(1, [RIGHT])], goal)["car"]
        assert wrong.note == "car: no detection that is right in these images, so there is no threshold to choose"


def brute_force(predictions, truths, label, threshold):
    """Right and wrong detections and instances of a category, by matching what reaches the threshold alone."""
    right = wrong = positives = 0
    for made, true in zip(predictions, truths, strict=True):
        kept = made.select((made.scores >= threshold) & (made.labels == label))
        outcomes = outcomes_of(kept, true)
        right, wrong = right + outcomes.is_right.sum(), wrong + outcomes.is_wrong.sum()
        positives += ((true.labels == label) & ~true.iscrowd).sum()
    return right, wrong, positives


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["f1", "precision:0.5", "precision:0.8", "recall:0.3", "recall:0.7"]))
def test_no_other_threshold_serves_the_goal_better(seed, goal):
    images = random_images(seed, num_images=5)
    found = points(*images, goal)["car"]
    if math.isnan(found.threshold.value):
        return
    right, wrong, positives = brute_force(*images, CAR, found.threshold.value)
    numbers = right / (right + wrong), right / positives, 2 * right / (right + wrong + positives)
    assert (found.precision.value, found.recall.value, found.f1.value) == pytest.approx(numbers)
    tried = {}
    for threshold in np.unique([score for made in images[0] for score in made.scores[made.labels == CAR]]):
        right, wrong, positives = brute_force(*images, CAR, threshold)
        if right + wrong:
            tried[threshold] = right / (right + wrong), right / positives, 2 * right / (right + wrong + positives)
    measure, _, wanted = goal.partition(":")
    values = {threshold: numbers[["precision", "recall", "f1"].index(measure)] for threshold, numbers in tried.items()}
    if measure == "f1":
        assert found.f1.value == pytest.approx(max(values.values()))
    elif found.is_reached:
        reaching = [threshold for threshold, value in values.items() if value >= float(wanted)]
        best = min(reaching) if measure == "precision" else max(reaching)
        assert tried[best] == pytest.approx(numbers)
    else:
        assert max(values.values()) < float(wanted)


def test_the_records_that_the_metrics_keep_give_the_same_points():
    images = random_images(5, num_images=6)
    pool = InstancePool.of_records([one.record for one in pool_of(*images).details])
    drawn = draws_for(6, len(pool.images))
    found = operating_points(pool, assign(pool), CATEGORIES, Goal.parse("f1"), drawn)
    assert repr(found) == repr([*points(*images).values()])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_assignment_is_that_of_the_metrics(seed):
    pool = pool_of(*random_images(seed, num_images=4))
    found = assign(pool)
    matches = match(pool.rows, pool.rows.overlaps([one.record.masks for one in pool.details]))
    outcomes = np.zeros(len(pool.images), np.uint8)
    outcomes[matches.detections] = matches.outcomes[:, 0, 0]
    ious = np.zeros(len(pool.images))
    ious[matches.detections] = matches.ious
    assert np.array_equal(found.truths >= 0, outcomes == FOUND)
    assert np.array_equal(found.is_ignored, outcomes == IGNORED)
    assert np.array_equal(found.ious, ious)


def test_intervals_are_over_images_and_the_threshold_is_chosen_anew_on_each_draw():
    found = points(*random_images(3, num_images=30))["car"]
    for one in (found.threshold, found.precision, found.recall, found.f1):
        assert one.low <= one.value <= one.high and one.low < one.high


@pytest.mark.parametrize("text", ["f2", "f1:0.5", "precision", "precision:0", "recall:1.2", "recall:much", ""])
def test_a_goal_that_cannot_be_is_refused_with_what_can(text):
    with pytest.raises(InstsegError, match=r"expected f1, precision:0.9 or recall:0.95"):
        Goal.parse(text)


@pytest.mark.parametrize("text", ["f1", "precision:0.9", "recall:1"])
def test_a_goal_is_written_as_it_is_read(text):
    assert str(Goal.parse(text)) == text


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_a_threshold_lies_between_its_scores_with_few_digits(one, other):
    low, high = sorted((one, other))
    threshold = np.float32(shortest_between(low, high))
    assert low < threshold <= high or low == high
    assert shortest_between(0.42871, 0.4312) == 0.43 and shortest_between(math.nan, 0.123456) == 0.123456
