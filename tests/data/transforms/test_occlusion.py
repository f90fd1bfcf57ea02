"""What is left of a polygon behind others, and that it is what would be left of a bitmap."""

from __future__ import annotations

from functools import partial

import albumentations as A
import numpy as np
import pytest
from augmenting import SIZE, iou, on_canvas
from factories import make_instances, make_picture, rectangle, star
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.box_masks import polygons_to_box_mask
from instseg.core.masks import bitmask_to_rle, polygons_to_box, polygons_to_rle, rle_to_bitmask
from instseg.core.types import BOX_MASK_SIZE, Instances, Polygon
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.label_maps import NUM_VALUES
from instseg.data.transforms.occlusion import Cover, draw_behind
from instseg.data.transforms.targets import MovingInstances


def behind(shape: Polygon, *on_top: Polygon, min_fraction: float = 0.1):
    covers = [Cover(1, polygons_to_box([top]), partial(polygons_to_box_mask, [top])) for top in on_top]
    return draw_behind([shape], polygons_to_box([shape]), covers, min_fraction)


# ---- one polygon, by hand


def test_where_nothing_is_hidden_the_box_is_exactly_that_of_the_polygon():
    shape = star(30.3, 25.7, 20)
    box, mask = behind(shape)
    box_of_neighbours, mask_of_neighbours = behind(shape, rectangle(46, 5, 60, 9))
    assert np.array_equal(box, polygons_to_box([shape]))
    assert np.array_equal(box, box_of_neighbours)
    assert np.array_equal(mask, mask_of_neighbours)


def test_the_box_closes_around_what_is_left_and_the_mask_fills_it():
    box, mask = behind(rectangle(10, 10, 50, 30), rectangle(30, 0, 90, 40))
    assert box == pytest.approx([10, 10, 30, 30], abs=0.5)
    assert mask.all()


def test_sides_that_are_not_hidden_stay_where_the_vertices_are():
    box, _ = behind(rectangle(10.1, 10.2, 50.3, 30.4), rectangle(40, 0, 90, 60))
    assert box[[0, 1, 3]].tolist() == [10.1, 10.2, 30.4]


def test_a_large_instance_is_cut_to_the_pixel_and_not_to_a_cell_of_its_mask():
    box, _ = behind(rectangle(0, 0, 1200, 900), rectangle(701, 0, 1300, 900))
    assert box == pytest.approx([0, 0, 701, 900], abs=1)


def test_what_is_hidden_in_the_middle_leaves_a_hole():
    box, mask = behind(rectangle(0, 0, 40, 40), rectangle(10, 10, 30, 30))
    assert box.tolist() == [0, 0, 40, 40]
    assert mask[BOX_MASK_SIZE // 2, BOX_MASK_SIZE // 2] == 0
    assert mask.mean() == pytest.approx(0.75, abs=0.02)


def test_several_on_top_hide_together():
    box, _ = behind(rectangle(0, 0, 60, 20), rectangle(0, 0, 20, 20), rectangle(40, 0, 60, 20))
    assert box == pytest.approx([20, 0, 40, 20], abs=0.5)


@pytest.mark.parametrize(("min_fraction", "is_kept"), [(0.0, True), (0.24, True), (0.26, False), (1.0, False)])
def test_of_what_is_hidden_the_wanted_fraction_must_be_left(min_fraction, is_kept):
    assert (behind(rectangle(0, 0, 40, 20), rectangle(10, 0, 40, 20), min_fraction=min_fraction) is not None) == is_kept


@pytest.mark.parametrize(
    "on_top", [rectangle(0, 0, 60, 60), rectangle(10, 10, 39.5, 30)], ids=["all", "all but a hair"]
)
def test_what_is_hidden_to_less_than_a_pixel_is_no_target(on_top):
    assert behind(rectangle(10, 10, 40, 30), on_top, min_fraction=0.0) is None


def test_an_instance_hides_only_those_beneath_it():
    cover = Cover(1, np.array([0.0, 0, 10, 10]), partial(polygons_to_box_mask, [rectangle(0, 0, 10, 10)]))
    assert cover.hides(0, np.array([5.0, 5, 20, 20]))
    assert not cover.hides(1, np.array([5.0, 5, 20, 20]))
    assert not cover.hides(2, np.array([5.0, 5, 20, 20]))
    assert not cover.hides(0, np.array([10.0, 0, 20, 10])), "they only touch"


# ---- polygons and bitmaps, beneath and on top


def stacked(beneath: Polygon, on_top: Polygon, kinds: str) -> MovingInstances:
    """The one over the other, "p" as polygon or "b" as bitmap."""
    bitmaps = [rle_to_bitmask(polygons_to_rle([shape], SIZE)) for shape in (beneath, on_top)]
    moving = MovingInstances(make_instances(beneath if kinds[0] == "p" else bitmask_to_rle(bitmaps[0])), SIZE)
    moving.put_on_top(2, [on_top] if kinds[1] == "p" else [], bitmaps[1], (0, 0))
    return moving


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_polygons_and_bitmaps_hide_each_other_alike(seed):
    random = np.random.default_rng(seed)
    one, other = (star(*random.uniform((10, 10), (70, 50)), random.uniform(8, 30)) for _ in range(2))
    whole, cover = (rle_to_bitmask(polygons_to_rle([shape], SIZE)) > 0 for shape in (one, other))
    left = whole & ~cover
    for kinds in ("pp", "pb", "bp", "bb"):
        boxes, labels, box_masks = stacked(one, other, kinds).targets(0.1)
        if labels.tolist() == [2]:
            assert left.sum() < 0.2 * whole.sum()
            continue
        seen = on_canvas(boxes, box_masks, SIZE)
        assert iou(seen[1], cover) > 0.85
        assert (seen[0] ^ left).sum() <= 0.15 * whole.sum()


@pytest.mark.parametrize("kinds", ["pp", "pb", "bp", "bb"])
def test_who_hides_whom_stays_so_when_the_image_is_moved(kinds):
    moving = stacked(rectangle(10, 10, 50, 30), rectangle(30, 0, 60, 40), kinds)
    moving.transform(Augmentation(*SIZE, {"flip": A.HorizontalFlip(p=1.0)}).pipeline, make_picture(SIZE))
    boxes, labels, box_masks = moving.targets(0.1)
    assert labels.tolist() == [1, 2]
    assert boxes[0] == pytest.approx([50, 10, 70, 30], abs=0.5)
    assert boxes[1] == pytest.approx([20, 0, 50, 40], abs=0.5)
    assert box_masks.mean() > 0.98


def test_the_last_on_top_hides_those_before_it():
    moving = MovingInstances(make_instances(), SIZE)
    for label, (x1, x2) in enumerate([(0, 40), (20, 60), (50, 80)], start=1):
        moving.put_on_top(label, [rectangle(x1, 10, x2, 30)], np.ones((20, x2 - x1), np.uint8), (x1, 10))
    boxes = moving.targets(0.1)[0]
    assert boxes == pytest.approx(np.array([[0, 10, 20, 30], [20, 10, 50, 30], [50, 10, 80, 30]]), abs=0.5)


def test_bitmaps_on_top_of_a_full_label_map_get_another():
    moving = MovingInstances(make_instances(), SIZE)
    corners = [(4 * (i % 20), i // 20) for i in range(NUM_VALUES - 1)]
    for corner in corners:
        moving.put_on_top(1, [], np.ones((1, 3), np.uint8), corner)
    for x in (5, 30):
        moving.put_on_top(2, [], np.ones((20, 20), np.uint8), (x, 35))
    boxes, labels, _ = moving.targets(0.1)
    assert len(moving.maps.maps) == 2
    assert boxes[labels == 1].tolist() == [[x, y, x + 3, y + 1] for x, y in corners]
    assert boxes[labels == 2].tolist() == [[5, 35, 25, 55], [30, 35, 50, 55]]


def test_instances_without_anything_in_the_photo_may_lie_beneath():
    nothing = Instances(np.array([1, 2]), [[rectangle(-9, -9, -1, -1)], []], [None, bitmask_to_rle(np.zeros(SIZE))])
    moving = MovingInstances(nothing, SIZE)
    moving.put_on_top(3, [rectangle(0, 0, 10, 10)], np.ones((10, 10), np.uint8), (0, 0))
    assert moving.targets(0.1)[1].tolist() == [3]
