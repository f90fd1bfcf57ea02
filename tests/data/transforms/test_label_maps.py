"""Bitmaps drawn into few label maps: they share them whether they overlap or not, and come out as they went in."""

from __future__ import annotations

import cv2
import numpy as np
from augmenting import SIZE, configured
from factories import drawn, make_instances, make_picture, rectangle, star
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.masks import bitmask_to_rle, polygons_to_rle
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.label_maps import MAX_PER_MAP, draw_label_maps


def test_a_value_stands_for_those_who_share_a_pixel_so_that_overlapping_bitmaps_need_no_second_map():
    left, right = drawn("##....", "##...."), drawn("....##", "....##")
    across, nothing = drawn(".####.", "......"), drawn("......", "......")
    maps = draw_label_maps([bitmask_to_rle(mask) for mask in (left, right, across, nothing)], (2, 6), (2, 6))
    assert len(maps.maps) == 1
    assert len(np.unique(maps.maps[0])) == 6, "nobody, left, right, across, left and across, right and across"
    boxes, areas = maps.boxes_and_areas()
    bitmasks = [maps.bitmask(i, box) for i, box in enumerate(boxes)]
    assert areas.tolist() == [4, 4, 4, 0]
    assert boxes.tolist() == [[0, 0, 2, 2], [4, 0, 6, 2], [1, 0, 5, 1], [0, 0, 0, 0]]
    assert [bitmask.shape for bitmask in bitmasks] == [(2, 2), (2, 2), (1, 4), (0, 0)]
    assert all(bitmask.all() for bitmask in bitmasks)


def test_what_a_transform_fills_with_zeros_belongs_to_nobody_even_if_the_photo_was_full():
    maps = draw_label_maps([bitmask_to_rle(np.ones((3, 4)))], (3, 4), (3, 4))
    maps.maps[0] = cv2.copyMakeBorder(maps.maps[0], 0, 0, 2, 0, cv2.BORDER_CONSTANT, value=0)
    boxes, areas = maps.boxes_and_areas()
    assert boxes.tolist() == [[2, 0, 6, 3]]
    assert areas.tolist() == [12]


@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_drawn_maps_are_the_bitmaps_resized_to_the_nearest_neighbour(seed, num_masks, is_resized):
    rng = np.random.default_rng(seed)
    size, after = (tuple(int(side) for side in rng.integers(1, 40, 2)) for _ in range(2))
    after = after if is_resized else size
    masks = [(rng.random(size) < rng.choice([0, 0.02, 0.3, 1])).astype(np.uint8) for _ in range(num_masks)]
    maps = draw_label_maps([bitmask_to_rle(mask) for mask in masks], size, after)
    boxes, areas = maps.boxes_and_areas()
    for i, mask in enumerate(masks):
        expected = cv2.resize(mask, after[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        x1, y1, x2, y2 = boxes[i].astype(int)
        again = np.zeros(after, dtype=np.uint8)
        again[y1:y2, x1:x2] = maps.bitmask(i, boxes[i])
        assert np.array_equal(again, expected) and areas[i] == expected.sum()
        assert (x2 - x1, y2 - y1) == cv2.boundingRect(expected)[2:]


def test_bitmaps_that_meet_in_more_ways_than_a_byte_names_are_divided_among_maps():
    rng = np.random.default_rng(0)
    masks = (rng.random((20, 30, 40)) < 0.5).astype(np.uint8)
    maps = draw_label_maps([bitmask_to_rle(mask) for mask in masks], (30, 40), (30, 40))
    assert 1 < len(maps.maps) < len(masks)
    boxes, _ = maps.boxes_and_areas()
    assert boxes.tolist() == [[0, 0, 40, 30]] * 20
    assert all(np.array_equal(maps.bitmask(i, boxes[i]), mask) for i, mask in enumerate(masks))


def test_one_map_holds_64_instances_and_a_second_one_the_rest():
    masks = []
    for i in range(MAX_PER_MAP + 20):
        mask = np.zeros((20, 20), dtype=np.uint8)
        mask[i // 20, i % 20] = 1
        masks.append(mask)
    maps = draw_label_maps([bitmask_to_rle(mask) for mask in masks], (20, 20), (20, 20))
    assert len(maps.maps) == 2
    boxes, _ = maps.boxes_and_areas()
    for i in range(len(masks)):
        assert boxes[i].tolist() == [i % 20, i // 20, i % 20 + 1, i // 20 + 1]


def test_more_than_255_bitmaps_all_become_targets():
    masks = []
    for i in range(300):
        mask = np.zeros(SIZE, dtype=np.uint8)
        mask[3 * (i // 20) : 3 * (i // 20) + 2, 4 * (i % 20) : 4 * (i % 20) + 3] = 1
        masks.append(bitmask_to_rle(mask))
    instances = make_instances(*masks, labels=[1 + i % 7 for i in range(300)])
    _, boxes, labels, box_masks = configured("flip")(make_picture(SIZE), instances, np.random.default_rng(0))
    assert labels.tolist() == instances.labels.tolist()
    assert ((boxes[:, 2:] - boxes[:, :2]) == [3, 2]).all()
    assert box_masks.all()


def test_polygons_and_bitmaps_may_be_mixed_in_one_image():
    bitmap = polygons_to_rle([rectangle(40, 30, 60, 50)], SIZE)
    instances = make_instances(star(20, 20, 10), bitmap, rectangle(5, 40, 15, 50), bitmap, labels=[4, 3, 2, 1])
    _, boxes, labels, _ = Augmentation(60, 80)(make_picture(SIZE), instances, None)
    assert labels.tolist() == [4, 3, 2, 1]
    assert boxes[1:].tolist() == [[40, 30, 60, 50], [5, 40, 15, 50], [40, 30, 60, 50]]
