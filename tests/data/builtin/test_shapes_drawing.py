"""The picture shows what the masks say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from instseg.data.builtin.shapes_drawing import compose, coverage, render


def test_the_mask_lies_where_the_picture_shows_the_shape() -> None:
    y, x = np.mgrid[:96, :128]
    shifts, growths = [], []
    for seed in range(100):
        shape = compose(np.random.default_rng(seed), (96, 128), 1)[0]
        alpha = coverage(shape.parts, (96, 128))
        shifts.append([np.average(axis, weights=alpha) - axis[shape.mask].mean() for axis in (x, y)])
        growths.append(shape.mask.sum() / alpha.sum() - 1)
    # Whole pixels leave each mask a little off; over many shapes nothing of that may remain.
    assert np.abs(shifts).max() < 0.5 and np.abs(np.mean(shifts, axis=0)).max() < 0.06
    assert np.abs(growths).max() < 0.1 and abs(np.mean(growths)) < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_shape_changes_the_picture_inside_its_mask_and_leaves_the_rest(seed: int) -> None:
    shapes = compose(np.random.default_rng(seed), (96, 128), 1)
    with_shape, without = (render(np.random.default_rng(1), (96, 128), s).astype(int) for s in (shapes, []))
    changed = np.abs(with_shape - without).sum(axis=2) > 0
    inside = cv2.erode(shapes[0].mask.astype(np.uint8), np.ones((3, 3))) > 0
    near = cv2.dilate(shapes[0].mask.astype(np.uint8), np.ones((25, 25))) > 0  # the soft shadow
    assert changed[inside].mean() > 0.97 and not changed[~near].any()


def test_what_lies_behind_stays_recognisable() -> None:
    for seed in range(20):
        shapes = compose(np.random.default_rng(seed), (96, 96), 8)
        assert all(shape.visible.sum() >= 0.4 * shape.full_area for shape in shapes)
        for behind, shape in enumerate(shapes):
            expected = shape.mask & ~np.any([s.mask for s in shapes[behind + 1 :]], axis=0)
            assert np.array_equal(shape.visible, expected)
