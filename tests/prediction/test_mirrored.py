"""Predictions on mirrored images, brought back."""

import numpy as np
from factories import drawn

from instseg.core.masks import bitmask_to_rle
from instseg.core.types import Prediction
from instseg.prediction.mirrored import mirrored_back, mirrored_rle


def test_boxes_and_masks_come_back_to_where_they_are_seen_in_the_image():
    mask = drawn("..##.", "...#.")
    found = Prediction(
        3, (2, 5), np.array([[2, 0, 4, 2]], np.float32), np.array([1]), np.array([0.9]), [bitmask_to_rle(mask)]
    )
    back = mirrored_back(found)
    assert back.boxes.tolist() == [[1, 0, 3, 2]]
    assert back.rles == [bitmask_to_rle(np.fliplr(mask))]


def test_an_empty_mask_stays_empty():
    empty = bitmask_to_rle(np.zeros((2, 5)))
    assert mirrored_rle(empty) == empty
