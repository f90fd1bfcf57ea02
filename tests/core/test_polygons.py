"""From masks to polygons and back: first by hand, then for anything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from factories import drawn, polygon, rectangle, star
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.masks import bitmask_to_rle, polygon_area, polygons_to_rle, rle_to_bitmask
from instseg.core.polygons import MIN_IOU, bitmask_to_polygons, join_polygons, pixel_polygons, rle_to_polygons
from instseg.core.types import Polygon

SIZE = (90, 120)


def redrawn(polygons: list[Polygon], bitmask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return rle_to_bitmask(polygons_to_rle(polygons, bitmask.shape)) if polygons else np.zeros_like(bitmask)


def iou(polygons: list[Polygon], bitmask: NDArray[np.uint8]) -> float:
    return float(coco_mask.iou([bitmask_to_rle(redrawn(polygons, bitmask))], [bitmask_to_rle(bitmask)], [0])[0, 0])


def shape(*polygons: Polygon) -> NDArray[np.uint8]:
    return rle_to_bitmask(polygons_to_rle(polygons, SIZE))


def corners(polygon: Polygon) -> set[tuple[float, float]]:
    return {(x, y) for x, y in polygon.tolist()}


@st.composite
def noise(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Any small mask: specks, holes, pixels that touch at corners."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (rng.random((height, width)) < draw(st.sampled_from([0, 0.1, 0.4, 0.6, 0.9, 1]))).astype(np.uint8)


@st.composite
def blobs(draw: st.DrawFn) -> NDArray[np.uint8]:
    """What networks find: smooth shapes at least 20 px long, with holes, inside the picture or cut by its border."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    field = cv2.resize(rng.random((5, 7)), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    mask = (field > draw(st.floats(0.3, 0.7))).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    large = [i for i in range(1, count) if max(stats[i, cv2.CC_STAT_WIDTH], stats[i, cv2.CC_STAT_HEIGHT]) >= 20]
    return np.isin(parts, large).astype(np.uint8)


# ---- by hand


def test_a_rectangle_has_its_four_corners_at_the_outer_edges_of_its_pixels():
    mask = np.zeros(SIZE, np.uint8)
    mask[10:60, 20:80] = 1
    (found,) = bitmask_to_polygons(mask)
    assert len(found) == 4 and corners(found) == corners(rectangle(20, 10, 80, 60))


def test_a_single_pixel_is_a_square_of_area_one():
    (found,) = bitmask_to_polygons(drawn("....", "..#."))
    assert corners(found) == {(2, 1), (3, 1), (3, 2), (2, 2)}
    assert polygon_area(found) == 1


def test_an_empty_mask_has_no_polygons():
    assert bitmask_to_polygons(drawn("....", "....")) == []
    assert pixel_polygons(drawn("....")) == []


def test_parts_come_one_by_one_the_largest_first():
    small, large = bitmask_to_polygons(drawn("#....###", ".....###"))[::-1]
    assert (polygon_area(large), polygon_area(small)) == (6, 1)


def test_pixels_that_touch_at_a_corner_are_one_part():
    (found,) = bitmask_to_polygons(drawn("##..", "##..", "..##", "..##"), min_iou=1)
    assert polygon_area(found) == 8


def test_a_hole_is_joined_by_a_seam_and_takes_its_area():
    ring = drawn("#####", "#...#", "#...#", "#####")
    (found,) = bitmask_to_polygons(ring)
    assert polygon_area(found) == ring.sum() == 14
    np.testing.assert_array_equal(redrawn([found], ring), ring)
    outside, hole = pixel_polygons(ring)
    assert corners(outside) == corners(rectangle(0, 0, 5, 4)) and corners(hole) == corners(rectangle(1, 1, 4, 3))


def test_an_island_in_a_hole_is_a_part_of_its_own():
    mask = drawn("#######", "#.....#", "#..#..#", "#.....#", "#######")
    assert [polygon_area(part) for part in bitmask_to_polygons(mask)] == [20, 1]


def test_ring_and_hole_hold_for_both_ways_of_filling():
    ring = shape(star(60, 45, 40)) & ~shape(star(60, 45, 15))
    (found,) = bitmask_to_polygons(ring)
    even_odd = cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.rint(found * 16 - 8).astype(np.int32)], 1, shift=4)
    assert (even_odd[40:50, 55:65] == 0).all()
    winding = polygon_area(found)  # the shoelace sum counts every turn with its sign
    assert winding == pytest.approx(ring.sum(), rel=0.01)


def test_joined_parts_are_one_polygon_of_the_same_area():
    parts = [rectangle(0, 0, 4, 4), rectangle(6, 0, 8, 4), rectangle(0, 6, 4, 9)]
    joined = join_polygons(parts)
    mask = redrawn(parts, np.zeros((12, 12), np.uint8))
    np.testing.assert_array_equal(redrawn([joined], mask), mask)
    assert polygon_area(joined) == mask.sum()
    np.testing.assert_array_equal(join_polygons([polygon((0, 0), (1, 0), (0, 1))]), [(0, 0), (1, 0), (0, 1)])


@pytest.mark.parametrize("radius", [10, 40, 400])
def test_a_disc_of_any_size_has_a_dozen_or_so_points_and_its_true_area(radius):
    y, x = np.mgrid[: 2 * radius + 6, : 2 * radius + 6] - radius - 2.3
    disc = (x**2 + y**2 < radius**2).astype(np.uint8)
    (found,) = bitmask_to_polygons(disc)
    assert 8 <= len(found) <= 17
    assert polygon_area(found) == pytest.approx(disc.sum(), rel=0.02)
    assert iou([found], disc) >= MIN_IOU


def test_crumbs_are_dropped_and_pinholes_filled_where_they_hardly_count():
    mask = shape(rectangle(20, 10, 90, 80))
    mask[3:9, 100:106] = 1
    mask[40:43, 50:53] = 0
    (found,) = bitmask_to_polygons(mask)
    assert corners(found) == corners(rectangle(20, 10, 90, 80))
    exact = bitmask_to_polygons(mask, min_iou=1)
    assert [polygon_area(part) for part in exact] == [70 * 70 - 9, 36]


def test_small_holes_and_parts_that_a_person_sees_stay():
    mask = shape(rectangle(20, 10, 90, 80))
    mask[3:9, 100:110] = 1
    mask[40:44, 50:54] = 0
    large, small = bitmask_to_polygons(mask)
    assert (polygon_area(large), polygon_area(small)) == (70 * 70 - 16, 60)


def test_a_slot_and_a_thin_bar_keep_their_shape():
    plate = np.zeros((200, 400), np.uint8)
    plate[20:120, 20:380] = 1
    plate[60:64, 60:340] = 0
    plate[160:163, 20:380] = 1
    cut, bar = bitmask_to_polygons(plate)
    assert polygon_area(cut) == 100 * 360 - 4 * 280 and polygon_area(bar) == 3 * 360
    turned = cv2.warpAffine(plate * 255, cv2.getRotationMatrix2D((200, 100), 20, 0.8), (400, 200)) // 128
    assert iou(bitmask_to_polygons(turned), turned) >= MIN_IOU
    assert sum(map(len, bitmask_to_polygons(turned))) <= 40


def test_a_mask_of_a_network_gets_as_many_points_as_a_person_draws():
    blob = cv2.resize(shape(polygon((20, 15), (90, 8), (110, 60), (60, 85), (12, 60))) * 255, (28, 28))
    wavy = cv2.resize(blob, (480, 360), interpolation=cv2.INTER_LINEAR) // 128
    (found,) = bitmask_to_polygons(wavy)
    assert 5 <= len(found) <= 20
    assert iou([found], wavy) >= MIN_IOU


# ---- for anything


@given(noise())
@settings(max_examples=200, deadline=None)
def test_at_an_iou_of_one_the_polygons_give_back_every_pixel(mask):
    polygons = bitmask_to_polygons(mask, min_iou=1)
    np.testing.assert_array_equal(redrawn(polygons, mask), mask)
    assert sum(map(polygon_area, polygons)) == mask.sum()


@given(noise(), st.sampled_from([0.9, 0.98, 0.999]))
@settings(max_examples=200, deadline=None)
def test_with_any_iou_they_give_back_that_much_of_it(mask, min_iou):
    polygons = bitmask_to_polygons(mask, min_iou)
    assert (len(polygons) > 0) == bool(mask.any())
    assert not mask.any() or iou(polygons, mask) >= min_iou
    assert all(len(p) >= 3 and p.min() >= 0 and (p.max(axis=0) <= mask.shape[::-1]).all() for p in polygons)


@given(blobs())
@settings(max_examples=60, deadline=None)
def test_a_smooth_shape_needs_far_fewer_points_than_its_pixels_have_corners(mask):
    polygons = bitmask_to_polygons(mask)
    if not mask.any():
        return
    assert iou(polygons, mask) >= MIN_IOU
    assert iou([join_polygons(polygons)], mask) >= MIN_IOU
    assert sum(map(len, polygons)) <= 12 + sum(map(len, pixel_polygons(mask))) * 0.3


@given(noise())
def test_run_lengths_become_the_same_polygons_as_their_bitmap(mask):
    for from_bitmap, from_rle in zip(bitmask_to_polygons(mask), rle_to_polygons(bitmask_to_rle(mask)), strict=True):
        np.testing.assert_array_equal(from_rle, from_bitmap)
