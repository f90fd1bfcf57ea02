"""Uncertainty about an image, from hand-drawn predictions on it and on the mirrored image."""

import numpy as np
import pytest
from factories import drawn

from instseg.analysis.next_images.uncertainty import uncertainty
from instseg.core.masks import bitmask_to_rle, rle_to_box
from instseg.core.types import Prediction

LEFT = drawn("####....", "####....", "........", "........")
LEFT_HALF = drawn("####....", "........", "........", "........")
RIGHT = drawn("........", "........", "....####", "....####")


def found(*objects):
    """Objects as mask, score and label."""
    masks, scores, labels = zip(*objects, strict=True) if objects else ((), (), ())
    rles = [bitmask_to_rle(mask) for mask in masks]
    boxes = np.array([rle_to_box(rle) for rle in rles], np.float32).reshape(-1, 4)
    return Prediction(1, (4, 8), boxes, np.array(labels, np.int64), np.array(scores, np.float32), rles)


def test_nothing_found_and_objects_that_are_certain_leave_no_doubt():
    nothing, certain = uncertainty(found(), found()), uncertainty(found((LEFT, 1, 1)), found((LEFT, 1, 1)))
    assert (nothing.num_detections, nothing.total) == (0, 0)
    assert certain.num_detections == 1 and certain.total == pytest.approx(0, abs=1e-6)


def test_a_score_of_one_half_is_one_bit_and_those_near_0_or_1_are_less():
    def bits(score):
        return uncertainty(found((LEFT, score, 1)), found((LEFT, score, 1))).scores

    assert bits(0.5) == pytest.approx(1)
    assert bits(0.9) == pytest.approx(bits(0.1)) == pytest.approx(0.469, abs=1e-3)


def test_what_the_other_look_does_not_find_counts_as_found_by_half():
    alone = uncertainty(found((LEFT, 1, 1)), found())
    assert alone == uncertainty(found(), found((LEFT, 1, 1)))
    assert (alone.num_detections, alone.masks) == (1, 0) and alone.scores == pytest.approx(1)


def test_masks_that_differ_count_by_the_part_that_is_not_common_and_by_the_score():
    sure = uncertainty(found((LEFT, 1, 1)), found((LEFT_HALF, 1, 1)))
    less = uncertainty(found((LEFT, 0.6, 1)), found((LEFT_HALF, 0.6, 1)))
    assert sure.masks == pytest.approx(0.5) and less.masks == pytest.approx(0.3)


def test_another_place_or_another_category_is_another_object():
    assert uncertainty(found((LEFT, 0.8, 1)), found((RIGHT, 0.8, 1))).num_detections == 2
    assert uncertainty(found((LEFT, 0.8, 1)), found((LEFT, 0.8, 2))).num_detections == 2


def test_what_is_hardly_scored_counts_nowhere():
    assert uncertainty(found((LEFT, 0.05, 1)), found((RIGHT, 0.09, 1))).num_detections == 0


def test_each_object_is_paired_once_the_best_score_first():
    twice = uncertainty(found((LEFT, 0.9, 1), (LEFT, 0.8, 1)), found((LEFT, 0.9, 1)))
    assert twice.num_detections == 2 and twice.scores == pytest.approx(0.469 + 0.971, abs=1e-3)  # of 0.9 and 0.4
