"""What is found, missed, right and wrong in an image, as COCO counts it."""

from __future__ import annotations

import numpy as np
from detections import CAR, DOG, EVERYTHING, LEFT, RIGHT, TOP_LEFT_PAIR, prediction, random_images, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.matching import FOUND, IGNORED, Pool, match
from instseg.evaluation.outcomes import outcomes_of


def test_an_instance_is_found_by_a_mask_of_its_category_and_else_missed():
    outcomes = outcomes_of(prediction(1, [LEFT, RIGHT], labels=[CAR, DOG]), truth(1, [LEFT, RIGHT]))
    assert outcomes.is_found.tolist() == [True, False] == (~outcomes.is_missed).tolist()
    assert outcomes.is_right.tolist() == [True, False] == (~outcomes.is_wrong).tolist()


def test_the_better_score_takes_the_instance_and_a_second_detection_of_it_is_wrong():
    outcomes = outcomes_of(prediction(1, [LEFT, LEFT], scores=[0.5, 0.9]), truth(1, [LEFT]))
    assert outcomes.is_right.tolist() == [False, True] and outcomes.is_wrong.tolist() == [True, False]


def test_an_iou_of_just_the_threshold_is_enough():
    halved = prediction(1, [TOP_LEFT_PAIR]), truth(1, [LEFT])
    assert outcomes_of(*halved).is_found.tolist() == [True]
    assert outcomes_of(*halved, min_iou=0.51).is_found.tolist() == [False]


def test_crowds_are_neither_found_nor_missed_and_what_lies_in_one_is_neither_right_nor_wrong():
    outcomes = outcomes_of(prediction(1, [LEFT, RIGHT]), truth(1, [EVERYTHING, LEFT], iscrowd=[True, False]))
    assert outcomes.is_found.tolist() == [False, True] and outcomes.is_missed.tolist() == [False, False]
    assert outcomes.is_right.tolist() == [True, False] and outcomes.is_wrong.tolist() == [False, False]


def test_nothing_annotated_and_nothing_found_give_empty_outcomes():
    outcomes = outcomes_of(prediction(1, []), truth(1, []))
    assert len(outcomes.is_found) == len(outcomes.is_wrong) == 0
    assert outcomes_of(prediction(1, [LEFT]), truth(1, [])).is_wrong.tolist() == [True]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_counts_are_those_of_the_metrics(seed):
    for found, annotated in zip(*random_images(seed, num_images=3), strict=True):
        outcomes, record = outcomes_of(found, annotated), ImageRecord.build(found, annotated)
        pool = Pool.of([record])
        expected = match(pool, pool.overlaps([record.masks])).outcomes[:, 0, 0]
        assert outcomes.is_right.sum() == (expected == FOUND).sum() == outcomes.is_found.sum()
        neither = ~outcomes.is_right & ~outcomes.is_wrong
        assert neither.sum() == (expected == IGNORED).sum()
        assert np.array_equal(outcomes.is_missed, ~outcomes.is_found & ~annotated.iscrowd)
