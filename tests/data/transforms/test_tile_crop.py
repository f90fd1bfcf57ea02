"""Tiles to train on: at one scale, where objects are, each with exactly its part of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from augmenting import composed, configured
from factories import make_instances, make_picture, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.tile_crop import TileCrop

SIZE = (200, 300)
PICTURE = make_picture(SIZE)
FAR = rectangle(250, 150, 280, 170)


def corner_of(tile):
    """Where in the picture a tile was cut out; no two of its places look alike."""
    places = np.argwhere((tile[0, 0] == PICTURE).all(axis=2))
    return next((y, x) for y, x in places.tolist() if np.array_equal(PICTURE[y : y + 64, x : x + 64], tile))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), as_bitmaps=st.booleans())
def test_a_tile_holds_the_pixels_of_the_image_and_the_visible_part_of_each_object(seed, as_bitmaps):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, (240, 140), (12, 2))
    shapes = [
        rectangle(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, rng.integers(5, 60, (12, 2)), strict=True)
    ]
    given_shapes = [polygons_to_rle([shape], SIZE) for shape in shapes] if as_bitmaps else shapes
    tile, instances = TileCrop(64)(PICTURE, make_instances(*given_shapes), rng, 0.0)
    top, left = corner_of(tile)
    assert tile.shape == (64, 64, 3)
    for label, polygons, rle in zip(instances.labels, instances.polygons, instances.rles, strict=True):
        whole = rle_to_bitmask(polygons_to_rle([shapes[label - 1]], SIZE))
        drawn = rle_to_bitmask(polygons_to_rle(polygons, (64, 64)) if rle is None else rle)
        np.testing.assert_array_equal(drawn, whole[top : top + 64, left : left + 64])
    seen = [polygons_to_rle([shape], SIZE) for shape in shapes]
    shown = [rle_to_bitmask(rle)[top : top + 64, left : left + 64].any() for rle in seen]
    assert sum(shown) == len(instances)


def test_most_tiles_show_an_object_whole_and_some_show_nothing():
    rng = np.random.default_rng(0)
    cuts = [TileCrop(64, anywhere_fraction=0.2)(PICTURE, make_instances(FAR), rng, 0.1)[1] for _ in range(200)]
    numbers = [len(cut) for cut in cuts]
    assert 0.8 <= np.mean(numbers) < 0.95
    whole = bitmask_to_rle(np.ones((20, 30)))
    areas = [polygons_to_rle(cut.polygons[0], (64, 64)) for cut in cuts if len(cut)]
    assert np.mean([rle_to_bitmask(rle).sum() == rle_to_bitmask(whole).sum() for rle in areas]) > 0.9


def test_a_sliver_at_the_border_of_a_tile_is_no_target():
    shape = rectangle(60, 0, 160, 100)
    for min_visibility, kept in ((0.0, 1), (0.1, 0)):
        augment = TileCrop(64, anywhere_fraction=1)
        place = SimpleNamespace(random=lambda: 0.5, integers=lambda low, high: 0)  # it shows four of a hundred columns
        assert len(augment(PICTURE, make_instances(shape), place, min_visibility)[1]) == kept


def test_training_and_evaluation_see_one_scale_and_the_order_of_random_numbers_decides():
    augment = configured("tiles", min_size=32, max_size=32, tile={"side": 64}, train={})
    tile, boxes, _, _ = augment(PICTURE, make_instances(FAR), np.random.default_rng(1))
    again, *_ = augment(PICTURE, make_instances(FAR), np.random.default_rng(1))
    assert tile.shape == (32, 32, 3) and np.array_equal(tile, again)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], [[15, 10]], atol=1)
    whole, boxes, _, _ = augment(PICTURE, make_instances(FAR), None)
    assert whole.shape == (100, 150, 3)
    np.testing.assert_allclose(boxes, [[125, 75, 140, 85]], atol=1e-4)


def test_an_image_without_objects_and_one_smaller_than_a_tile_are_cut_as_well():
    rng = np.random.default_rng(0)
    tile, instances = TileCrop(64)(PICTURE, make_instances(), rng, 0.1)
    assert (tile.shape, len(instances)) == ((64, 64, 3), 0)
    tile, instances = TileCrop(400)(PICTURE, make_instances(FAR), rng, 0.1)
    assert (tile.shape, len(instances)) == (PICTURE.shape, 1)


def test_what_cannot_work_is_refused():
    with pytest.raises(InstsegError, match=r"augmentation\.tile\.side=0: expected a whole number"):
        TileCrop(0)
    with pytest.raises(InstsegError, match=r"augmentation\.copy_paste pastes at the size of whole images"):
        Augmentation(64, 64, copy_paste=lambda image, *others: image, tile=TileCrop(64))


def test_a_px_stays_a_px_by_default():
    config = composed("tiles").augmentation
    assert config.tile.side == config.min_size == config.max_size
