"""The scale of a training, which decides what ``tile=auto`` does."""

import numpy as np

from instseg.checkpoints.scales import Scales, scales_of


def test_scales_are_those_of_the_resize_over_all_training_images():
    sizes = np.array([[100, 100]] * 10 + [[400, 200]])
    assert scales_of(sizes, 100, 150) == Scales(low=0.6875, median=1.0)  # the last is shrunk to 150 px: 0.375


def test_a_training_without_images_has_none():
    assert scales_of(np.zeros((0, 2), np.int64), 100, 150) is None
