"""Each group of conf/augmentation: polygons, bitmaps and pixels stay together, on every kind of photo."""

from __future__ import annotations

import pickle

import albumentations as A
import cv2
import numpy as np
import pytest
from augmenting import (
    GROUPS,
    SIZE,
    as_bitmaps,
    composed,
    configured,
    iou,
    num_beyond_a_pixel,
    on_canvas,
    painted,
)
from factories import make_instances, make_picture, rectangle, star
from sampled import first

from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.core.types import BOX_MASK_SIZE
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.targets import MovingInstances

NOT_EMPTY = [name for name in GROUPS if name != "none"]


def always(name: str) -> Augmentation:
    """The group with everything in it applied to every photo."""
    group = composed(name).augmentation
    paste = {"copy_paste": {"probability": 1.0}} if "copy_paste" in group else {}
    return configured(name, train={key: {"p": 1.0} for key in group.train}, **paste)


# ---- vectors, bitmaps and pixels agree


@pytest.mark.parametrize("seed", first(2, range(8)))
@pytest.mark.parametrize("name", GROUPS)
def test_masks_go_where_the_pixels_go(name, seed):
    size = (240, 320)
    instances = make_instances(star(110, 130, 100), rectangle(150, 20, 310, 220), star(250, 90, 60))
    sharp = {"compression": None} if "compression" in composed(name).augmentation.train else {}  # JPEG smears colours
    augmentation = configured(name, 200, 300, min_visibility=0.0, train=sharp)
    for kind in (instances, as_bitmaps(instances, size)):
        image, boxes, labels, box_masks = augmentation(painted(instances, size), kind, np.random.default_rng(seed))
        drawn_back = dict(zip(labels.tolist(), on_canvas(boxes, box_masks, image.shape[:2]), strict=True))
        for label in (1, 2, 3):
            in_pixels = image[..., label - 1] >= 128
            if in_pixels.sum() > 900:
                assert iou(drawn_back[label], in_pixels) > 0.95


@pytest.mark.parametrize(("height", "width"), first(2, [(91, 121), (120, 91), (90, 120), (101, 101)]))
@pytest.mark.parametrize("name", NOT_EMPTY)
def test_a_polygon_a_bitmap_and_the_pixels_move_alike_within_a_pixel(name, height, width):
    """At sizes odd and even, where a turn around a point half a pixel off would show."""
    size = height, width
    transforms = [t for t in configured(name).pipeline.transforms if isinstance(t, A.DualTransform)]
    pipeline = Augmentation(1, 1, {str(i): transform for i, transform in enumerate(transforms)}).pipeline
    shape = star(size[1] * 0.45, size[0] * 0.55, 35)
    bitmap = polygons_to_rle([shape], size)
    for seed in range(10):
        moving = MovingInstances(make_instances(shape, bitmap), size)
        pipeline.set_random_seed(seed)
        image = moving.transform(pipeline, 255 * rle_to_bitmask(bitmap)[..., None].repeat(3, axis=2))
        polygon = rle_to_bitmask(polygons_to_rle(moving.polygons()[0], image.shape[:2]))
        assert num_beyond_a_pixel(polygon, moving.maps.maps[0]) == 0
        assert num_beyond_a_pixel(polygon, image[..., 0] >= 128) == 0


def test_what_changes_the_quality_leaves_the_object_where_it_is():
    disc = cv2.circle(np.full((101, 101, 3), 40, dtype=np.uint8), (50, 50), 20, (200, 200, 200), -1)
    names = ("light", "blur", "noise", "compression")
    for kept in names:
        train = {name: {"p": 1.0} if name == kept else None for name in names} | {"flip": None}
        quality = configured("quality", 101, 101, train=train)
        for seed in range(20):
            image = quality(disc, make_instances(), np.random.default_rng(seed))[0]
            rows, columns = np.nonzero(image[..., 1] > (int(image.min()) + int(image.max())) / 2)
            assert rows.mean() == pytest.approx(50, abs=0.3), kept
            assert columns.mean() == pytest.approx(50, abs=0.3), kept


def test_a_photo_is_moved_before_its_quality_changes():
    assert list(composed("strong").augmentation.train) == ["affine", "flip", "light", "blur", "noise", "compression"]


# ---- every kind of photo


@pytest.mark.parametrize("random", [None, np.random.default_rng(0)], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", GROUPS)
def test_an_image_without_instances_keeps_the_full_schema(name, random):
    image, boxes, labels, box_masks = configured(name)(make_picture(SIZE), make_instances(), random)
    assert image.dtype == np.uint8
    assert (boxes.shape, boxes.dtype) == ((0, 4), np.float32)
    assert (labels.shape, labels.dtype) == ((0,), np.int64)
    assert (box_masks.shape, box_masks.dtype) == ((0, BOX_MASK_SIZE, BOX_MASK_SIZE), np.uint8)


@pytest.mark.parametrize(("height", "width"), first(3, [(1, 1), (300, 1), (7, 900), (1, 300), (3, 2), (50, 90)]))
@pytest.mark.parametrize("name", GROUPS)
def test_every_instance_lies_inside_its_image_however_odd_the_photo(name, height, width):
    size = height, width
    everywhere = make_instances(
        rectangle(-width, -height, 2 * width, 2 * height),
        bitmask_to_rle(np.ones(size, dtype=np.uint8)),
        star(width / 2, height / 2, min(size) / 2),
        bitmask_to_rle(np.zeros(size, dtype=np.uint8)),
        rectangle(-9, -9, -2, -2),
    )
    augment, picture = always(name), make_picture(size)
    for seed in range(3):
        image, boxes, labels, box_masks = augment(
            picture, everywhere, np.random.default_rng(seed), lambda _: (picture, everywhere)
        )
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert (boxes >= 0).all()
        assert (boxes <= np.tile(image.shape[1::-1], 2)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
        assert box_masks.any(axis=(1, 2)).all()
        assert box_masks.max(initial=0) <= 1
        assert len(boxes) == len(labels) == len(box_masks)


@pytest.mark.parametrize("name", GROUPS)
def test_the_generator_alone_decides_the_sample_also_in_another_process(name):
    augment = always(name)
    picture, other = make_picture(SIZE), (make_picture(SIZE, 1), make_instances(star(30, 30, 20)))
    instances = make_instances(star(40, 30, 25), polygons_to_rle([rectangle(3, 3, 20, 40)], SIZE))
    again = pickle.loads(pickle.dumps(augment))
    again(picture, instances, np.random.default_rng(7), lambda _: other)  # what was drawn before does not matter
    first, second = (
        each(picture, instances, np.random.default_rng([1, 2, 3]), lambda _: other) for each in (augment, again)
    )
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_large_scale_jitter_gives_squares_of_one_size_with_the_photo_at_any_scale():
    augmentation = configured("large_scale_jitter", 40, 64)
    filled = []
    for seed in range(30):
        white = np.full((48, 60, 3), 255, dtype=np.uint8)
        image, boxes, *_ = augmentation(white, make_instances(rectangle(0, 0, 60, 48)), np.random.default_rng(seed))
        assert image.shape == (64, 64, 3)
        filled.append((image[..., 0] > 0).mean())
        if len(boxes):  # padding is background, at the right and the bottom
            assert boxes[0, :2].tolist() == [0, 0]
            assert (image[..., 0] > 0).sum() == pytest.approx(np.prod(boxes[0, 2:]), abs=1)
    assert min(filled) < 0.1
    assert max(filled) == 1
