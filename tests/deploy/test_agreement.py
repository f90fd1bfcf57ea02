"""Agreement of two predictions, on masks drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instseg.core.masks import bitmask_to_rle
from instseg.core.types import Prediction
from instseg.deploy.agreement import UNTRAINED, compare


def _prediction(boxes: list[list[float]], scores: list[float]) -> Prediction:
    rles = []
    for x1, y1, x2, y2 in np.round(boxes).astype(int):
        mask = np.zeros((60, 60), np.uint8)
        mask[y1:y2, x1:x2] = 1
        rles.append(bitmask_to_rle(mask))
    return Prediction(
        0, (60, 60), np.array(boxes, np.float32), np.ones(len(boxes), np.int64), np.array(scores, np.float32), rles
    )


TWO = _prediction([[2, 2, 22, 22], [30, 30, 50, 55]], [0.9, 0.4])


def test_equal_predictions_agree_and_so_do_two_empty_ones():
    assert compare("a", TWO, TWO).problem == ""
    nothing = TWO.select(np.zeros(2, bool))
    assert compare("a", nothing, nothing).problem == ""


def test_instances_are_paired_by_place_not_by_order():
    swapped = _prediction([[30, 30, 50, 55], [2, 2, 22, 22]], [0.4, 0.9])
    assert compare("a", TWO, swapped).problem == ""


def test_a_box_that_moved_and_a_score_that_changed_are_said():
    moved = _prediction([[2, 2, 22, 22.2], [30, 30, 50, 55]], [0.9, 0.402])
    assert compare("a", TWO, moved).problem == (
        "a: boxes differ by 0.2 px (at most 0.05), scores differ by 0.002 (at most 0.001)"
    )


def test_an_instance_that_is_missing_is_said_unless_it_is_the_last():
    assert compare("a", TWO, TWO.select(np.array([False, True]))).problem == "a: 1 instance of 2 in one alone"
    assert compare("a", TWO, TWO.select(np.array([True, False]))).problem == ""
    assert compare("a", TWO, TWO.select(np.zeros(2, bool))).problem == "a: 2 instances of 2 in one alone"


def test_a_mask_that_lost_pixels_is_said():
    smaller = replace(TWO, rles=[_prediction([[2, 2, 22, 21]], [1.0]).rles[0], TWO.rles[1]])
    assert compare("a", TWO, smaller).problem == "a: mask IoU 0.97778 (at least 0.999)"


def test_another_category_is_another_instance():
    other = replace(TWO, labels=np.array([2, 1]))
    assert compare("a", TWO, other).problem == "a: 2 instances of 2 in one alone"


def test_of_an_untrained_network_a_fifth_of_the_instances_may_be_others():
    five = _prediction(
        [[12 * row, 12 * row, 12 * row + 8, 12 * row + 8] for row in range(5)], [0.9, 0.8, 0.7, 0.6, 0.5]
    )
    without_one = five.select(np.arange(5) != 1)
    assert compare("a", five, without_one).problem == "a: 1 instance of 5 in one alone"
    assert compare("a", five, without_one, UNTRAINED).problem == ""
    assert compare("a", five, five.select(np.arange(5) > 2), UNTRAINED).problem == "a: 3 instances of 5 in one alone"
