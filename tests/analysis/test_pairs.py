"""Pairs of what is there and what was found, drawn by hand."""

from __future__ import annotations

import numpy as np
from detections import CAR, DOG, LEFT, RIGHT, TOP_LEFT_PAIR, prediction, truth
from factories import drawn

from instseg.analysis.pairs import CROWD, NONE, pair

THIRD = drawn("####....", "........", "........", "........")  # half of LEFT
QUARTER = drawn("##......", "........", "........", "........")
HALF = np.full(3, 0.5)


def paired(masks, truths, *, labels=None, scores=None, truth_labels=None, iscrowd=None, thresholds=HALF):
    found = prediction(1, masks, scores, labels)
    return pair(found, truth(1, truths, truth_labels, iscrowd), thresholds)


def test_a_detection_finds_the_instance_of_its_category():
    pairs = paired([LEFT, RIGHT], [RIGHT, LEFT])
    assert pairs.match.tolist() == [1, 0]
    assert pairs.ious.tolist() == [1, 1]


def test_one_of_another_category_is_confused_with_it():
    pairs = paired([LEFT], [LEFT], labels=[DOG])
    assert (pairs.match.tolist(), pairs.confused.tolist(), pairs.ious.tolist()) == ([NONE], [0], [1.0])


def test_one_whose_mask_overlaps_too_little_touches_it():
    pairs = paired([QUARTER], [LEFT])
    assert (pairs.match.tolist(), pairs.touched.tolist(), pairs.ious.tolist()) == ([NONE], [0], [0.25])


def test_the_second_on_one_instance_is_repeated_whatever_its_category():
    pairs = paired([LEFT, LEFT, LEFT], [LEFT], labels=[CAR, CAR, DOG], scores=[0.9, 0.8, 0.7])
    assert pairs.match.tolist() == [0, NONE, NONE]
    assert pairs.repeated.tolist() == [NONE, 0, 0]


def test_below_the_threshold_a_detection_matches_but_takes_nothing_from_others():
    pairs = paired([LEFT, LEFT], [LEFT], labels=[CAR, DOG], scores=[0.4, 0.9])
    assert pairs.is_kept.tolist() == [False, True]
    assert pairs.match.tolist() == [0, NONE]
    assert pairs.confused.tolist() == [NONE, 0]


def test_each_category_has_its_threshold():
    pairs = paired([LEFT, RIGHT], [LEFT], labels=[CAR, DOG], scores=[0.4, 0.4], thresholds=np.array([0.3, 0.5, 0.5]))
    assert pairs.is_kept.tolist() == [True, False]


def test_what_lies_in_a_crowd_is_no_mistake():
    pairs = paired([TOP_LEFT_PAIR], [LEFT], iscrowd=[True])
    assert pairs.match.tolist() == [CROWD]


def test_a_crowd_is_neither_touched_nor_confused():
    pairs = paired(
        [QUARTER, LEFT], [drawn("##......", "#.......", "#.......", "#......."), RIGHT], iscrowd=[True, False]
    )
    assert max(pairs.touched.tolist()) == NONE


def test_an_image_with_nothing_in_it_has_no_pairs():
    assert len(paired([], []).match) == 0
    assert paired([LEFT], []).match.tolist() == [NONE]
