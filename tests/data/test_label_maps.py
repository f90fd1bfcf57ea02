"""Bitmaps packed into few label maps: they share one where they do not touch, and come out as they went in."""

from __future__ import annotations

import numpy as np
from augmenting import SIZE, configured
from factories import drawn, make_instances, make_picture, rectangle, star
from hypothesis import given
from hypothesis import strategies as st

from instseg.data.label_maps import MAX_PER_MAP, pack_label_maps
from instseg.data.transforms import Augmentation
from instseg.masks import bitmask_to_rle, polygons_to_rle


def test_bitmaps_that_do_not_touch_share_a_map_and_overlapping_ones_do_not():
    left, right = drawn("##....", "##...."), drawn("....##", "....##")
    across, nothing = drawn(".####.", "......"), drawn("......", "......")
    masks = [left, right, across, nothing]
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], (2, 6))
    assert len(packed.maps) == 2
    assert [map_index for map_index, _ in packed.places] == [0, 0, 1, 0]
    boxes, areas = packed.boxes_and_areas()
    bitmasks = [packed.bitmask(i, box) for i, box in enumerate(boxes)]
    assert areas.tolist() == [4, 4, 4, 0]
    assert boxes.tolist() == [[0, 0, 2, 2], [4, 0, 6, 2], [1, 0, 5, 1], [0, 0, 0, 0]]
    assert [bitmask.shape for bitmask in bitmasks] == [(2, 2), (2, 2), (1, 4), (0, 0)]
    assert all(bitmask.all() for bitmask in bitmasks)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_packing_and_taking_out_again_changes_no_pixel(seed, num_masks):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 15, 2))
    masks = [(rng.random(size) < rng.choice([0, 0.02, 0.3, 1])).astype(np.uint8) for _ in range(num_masks)]
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], size)
    boxes, areas = packed.boxes_and_areas()
    for i, mask in enumerate(masks):
        x1, y1, x2, y2 = boxes[i].astype(int)
        again = np.zeros(size, dtype=np.uint8)
        again[y1:y2, x1:x2] = packed.bitmask(i, boxes[i])
        assert np.array_equal(again, mask) and areas[i] == mask.sum()


def test_one_map_holds_255_instances_and_a_second_one_the_rest():
    masks = []
    for i in range(MAX_PER_MAP + 20):
        mask = np.zeros((20, 20), dtype=np.uint8)
        mask[i // 20, i % 20] = 1
        masks.append(mask)
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], (20, 20))
    assert len(packed.maps) == 2
    boxes, _ = packed.boxes_and_areas()
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
