"""What several tiles have found of one object becomes one, and nothing else does: by hand, then for anything."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from instseg.core.masks import bitmask_to_rle, rle_area, rle_to_bitmask, rle_to_box
from instseg.core.types import Prediction
from instseg.core.windows import Tile, Window
from instseg.prediction.merging import TileMerger
from instseg.prediction.tiles import tiles_of

SIZE = (70, 90)
Mask = NDArray[np.uint8]


def found_in(tile: Tile, masks: Sequence[Mask], labels: Sequence[int], scores: Sequence[float]) -> Prediction:
    """What a network without errors finds in a tile: the visible part of each object."""
    left, top, right, bottom = tile.window
    seen = [(mask[top:bottom, left:right], *rest) for mask, *rest in zip(masks, labels, scores, strict=True)]
    seen = [each for each in seen if each[0].any()]
    rles = [bitmask_to_rle(mask) for mask, *_ in seen]
    boxes = np.array([rle_to_box(rle) for rle in rles], np.float32).reshape(-1, 4)
    labels, scores = (np.array([each[column] for each in seen]) for column in (1, 2))
    return Prediction(0, tile.window.size, boxes, labels.astype(np.int64), scores.astype(np.float32), rles)


def merged(masks: Sequence[Mask], labels: Sequence[int] | None = None, side: int = 32, overlap: float = 0.25):
    """What comes out of tiles, each of which shows its part of the objects."""
    tiles = tiles_of(masks[0].shape, side, overlap)
    merger = TileMerger(tiles, masks[0].shape, 1.0)
    for number, tile in enumerate(tiles):
        merger.add(number, found_in(tile, masks, labels or [1] * len(masks), [0.9 - 0.01 * number] * len(masks)))
    return merger.merged(image_id=4)


def rectangle(x1: int, y1: int, x2: int, y2: int) -> Mask:
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


@st.composite
def strokes(draw: st.DrawFn) -> Mask:
    """An object as a pen draws it: in one go, of any length, with holes where it meets itself."""
    points = draw(st.lists(st.tuples(st.integers(0, SIZE[1] - 1), st.integers(0, SIZE[0] - 1)), min_size=2, max_size=6))
    mask = np.zeros(SIZE, np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, draw(st.integers(1, 12)))
    assume(mask.any())
    return mask


tilings = {"side": st.integers(26, 64), "overlap": st.floats(0.1, 0.5)}
few = settings(max_examples=25)


# ---- by hand


def test_tiles_cover_the_image_and_their_cores_each_pixel_once():
    for size, side, overlap in (((70, 90), 32, 0.25), ((33, 32), 32, 0.5), ((10, 200), 64, 0.1), ((20, 20), 32, 0.2)):
        covered, cores = np.zeros(size, int), np.zeros(size, int)
        for tile in tiles_of(size, side, overlap):
            assert tile.window.size == (min(side, size[0]), min(side, size[1]))
            assert tile.core.common(tile.window) == tile.core
            for counts, (left, top, right, bottom) in ((covered, tile.window), (cores, tile.core)):
                counts[top:bottom, left:right] += 1
        assert covered.min() >= 1
        assert (cores == 1).all()


def test_an_object_over_four_tiles_is_one_with_the_best_score_of_its_parts():
    mask = rectangle(10, 10, 80, 60)
    found = merged([mask])
    assert found.rles == [bitmask_to_rle(mask)]
    assert found.boxes.tolist() == [[10, 10, 80, 60]]
    assert (found.labels.tolist(), found.scores.tolist(), found.image_id) == ([1], [pytest.approx(0.9)], 4)


def test_two_objects_of_one_category_that_touch_stay_two_also_across_the_border_of_tiles():
    for first, second in (
        (rectangle(5, 5, 45, 30), rectangle(45, 5, 85, 30)),  # beside each other
        (rectangle(5, 5, 85, 20), rectangle(5, 20, 85, 35)),  # one above the other, each over several tiles
    ):
        found = merged([first, second])
        assert sorted(map(str, found.rles)) == sorted(map(str, (bitmask_to_rle(first), bitmask_to_rle(second))))


def test_one_place_that_two_categories_claim_keeps_both():
    found = merged([rectangle(20, 20, 60, 50)] * 2, labels=[1, 2])
    assert sorted(found.labels.tolist()) == [1, 2]


def test_a_part_that_one_tile_sees_smaller_than_the_other_is_still_of_the_same_object():
    mask = rectangle(10, 10, 60, 30)
    tiles = tiles_of(SIZE, 50, 0.4)
    merger = TileMerger(tiles, SIZE, 1.0)
    for number, tile in enumerate(tiles):
        shown = mask.copy()
        if number == 0:
            shown[:, 46:50] = 0  # the network stops short of the border of its tile
        merger.add(number, found_in(tile, [shown], [1], [0.8]))
    assert len(merger.merged(0)) == 1


def test_what_one_tile_alone_finds_at_its_border_is_dropped_where_its_neighbour_sees_the_place_whole():
    tiles = tiles_of((32, 56), 32, 0.25)
    (left, right), empty = tiles, np.zeros((32, 56), np.uint8)
    sliver = empty.copy()
    sliver[5:20, 29:32] = 1
    for number, tile, other in ((0, left, right), (1, right, left)):
        merger = TileMerger(tiles, (32, 56), 1.0)
        merger.add(number, found_in(tile, [sliver], [1], [0.8]))
        merger.add(1 - number, found_in(other, [empty], [1], [0.8]))
        assert len(merger.merged(0)) == number  # in the right tile it is not at the border


def test_a_tile_that_tells_two_objects_apart_keeps_them_apart():
    upper, lower = rectangle(0, 5, 40, 14), rectangle(0, 16, 40, 25)
    tiles = tiles_of((70, 90), 50, 0.3)
    merger = TileMerger(tiles, SIZE, 1.0)
    merger.add(0, found_in(tiles[0], [upper, lower], [1, 1], [0.9, 0.8]))
    merger.add(1, found_in(tiles[1], [upper | lower], [1], [0.5]))
    assert len(merger.merged(0)) == 2


def test_nothing_found_is_an_empty_prediction_of_the_image():
    found = merged([np.zeros(SIZE, np.uint8)])
    assert (len(found), found.image_size, found.boxes.shape) == (0, SIZE, (0, 4))


# ---- for anything


@few
@given(mask=strokes(), **tilings)
def test_the_parts_of_an_object_give_it_back_exactly(mask, side, overlap):
    assert merged([mask], side=side, overlap=overlap).rles == [bitmask_to_rle(mask)]


@few
@given(first=strokes(), second=strokes(), **tilings)
def test_objects_that_touch_but_share_no_pixel_come_back_each_as_it_is(first, second, side, overlap):
    count, parts = cv2.connectedComponents(second & (1 - first), connectivity=8)
    objects = [first, *((parts == number).astype(np.uint8) for number in range(1, count))]
    found = merged(objects, side=side, overlap=overlap)
    assert sorted(map(str, found.rles)) == sorted(str(bitmask_to_rle(mask)) for mask in objects)


@few
@given(masks=st.lists(strokes(), min_size=1, max_size=4), seed=st.integers(0, 2**32), **tilings)
def test_no_mask_leaves_the_image_and_none_is_empty_however_wrong_the_network(masks, seed, side, overlap):
    tiles, rng = tiles_of(SIZE, side, overlap), np.random.default_rng(seed)
    merger = TileMerger(tiles, SIZE, 1.0)
    for number, tile in enumerate(tiles):
        wrong = [mask & (rng.random(SIZE) < 0.9) for mask in masks]
        merger.add(number, found_in(tile, wrong, [1] * len(masks), rng.random(len(masks)).tolist()))
    found = merger.merged(0)
    assert (np.diff(found.scores) <= 0).all()
    for rle, box in zip(found.rles, found.boxes, strict=True):
        assert rle["size"] == list(SIZE) and rle_area(rle) > 0
        inside = rle_to_bitmask(rle)
        assert inside.any() and Window(0, 0, SIZE[1], SIZE[0]).common(Window(*map(int, box))) is not None
