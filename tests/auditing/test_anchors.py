"""How well anchors fit, against torchvision's own anchors, and sizes that fit better."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from instseg.auditing.anchors import best_ious, shifted, suggest_sizes

STRIDES = (4, 8, 16, 32, 64)
DEFAULT = [[32.0], [64.0], [128.0], [256.0], [512.0]]
RATIOS = (0.5, 1.0, 2.0)


def boxes_of_sides(*sides: float, count: int = 50, seed: int = 0) -> np.ndarray:
    """Squares of about these sides, anywhere in a picture of 1024."""
    random = np.random.default_rng(seed)
    side = np.repeat(sides, count) * random.uniform(0.95, 1.05, len(sides) * count)
    corner = random.uniform(0, 1024 - side[:, None], (len(side), 2))
    return np.concatenate([corner, corner + side[:, None]], axis=1)


def ious_with_torchvision(boxes: np.ndarray, sizes, ratios) -> np.ndarray:
    generator = AnchorGenerator(tuple(map(tuple, sizes)), (ratios,) * len(sizes))
    images = ImageList(torch.zeros(1, 3, 1024, 1024), [(1024, 1024)])
    anchors = generator(images, [torch.zeros(1, 1, 1024 // s, 1024 // s) for s in STRIDES])[0]
    return box_iou(torch.tensor(boxes), anchors.double()).amax(dim=1).numpy()


@pytest.mark.parametrize("sizes", [DEFAULT, [[7.0], [24.0], [40.0], [64.0], [96.0]], [[s, s * 1.4] for [s] in DEFAULT]])
def test_the_best_overlap_is_that_with_the_anchors_of_the_network(sizes):
    random = np.random.default_rng(1)
    corner = random.uniform(0, 700, (25, 2))
    boxes = np.concatenate([corner, corner + np.exp(random.uniform(1.5, 5.7, (25, 2)))], axis=1)
    expected = ious_with_torchvision(boxes, sizes, RATIOS)
    assert np.allclose(best_ious(boxes, sizes, RATIOS, STRIDES), expected, atol=1e-6)


def test_a_box_without_area_fits_no_anchor():
    assert best_ious(np.array([[8.0, 8.0, 8.0, 8.0]]), DEFAULT, RATIOS, STRIDES).tolist() == [0]


def test_no_boxes_give_no_overlaps():
    assert best_ious(np.zeros((0, 4)), DEFAULT, RATIOS, STRIDES).shape == (0,)


def test_small_objects_get_small_anchors_on_the_fine_levels():
    boxes = boxes_of_sides(14, 24)
    sizes = suggest_sizes(boxes, DEFAULT, RATIOS, STRIDES, 0.7)
    assert 12 <= sizes[0][0] <= 16 and 20 <= sizes[1][0] <= 28
    assert np.mean(best_ious(boxes, sizes, RATIOS, STRIDES) >= 0.5) > 0.99


def test_sizes_of_levels_that_no_object_needs_stay_as_they_are():
    sizes = suggest_sizes(boxes_of_sides(30), DEFAULT, RATIOS, STRIDES, 0.7)
    assert sizes[2:] == DEFAULT[2:]


def test_suggested_sizes_are_never_worse_and_grow_from_level_to_level():
    for sides in ((40,), (8, 300), (20, 60, 180, 500)):
        boxes = shifted(boxes_of_sides(*sides), 64)
        sizes = suggest_sizes(boxes, DEFAULT, RATIOS, STRIDES, 0.7)
        flat = [size for level in sizes for size in level]
        assert flat == sorted(set(flat))
        now, then = (best_ious(boxes, s, RATIOS, STRIDES) for s in (DEFAULT, sizes))
        assert np.mean(then >= 0.7) + np.mean(then >= 0.5) >= np.mean(now >= 0.7) + np.mean(now >= 0.5)


def test_several_sizes_per_level_stay_several():
    sizes = suggest_sizes(boxes_of_sides(20, 90), [[s, s * 1.4] for [s] in DEFAULT], RATIOS, STRIDES, 0.7)
    assert [len(level) for level in sizes] == [2] * 5


def test_shifted_boxes_keep_their_sides_and_are_many():
    boxes = boxes_of_sides(10, 50, count=20)
    many = shifted(boxes, 64)
    assert 2500 <= len(many) <= 3000 and many[:, :2].max() <= 64
    sides = (many[:, 2:] - many[:, :2]).round(6)
    assert set(sides[:, 0]) == set((boxes[:, 2] - boxes[:, 0]).round(6))
