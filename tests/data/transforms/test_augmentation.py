"""Where the instances go when their image is resized, mirrored, cut: vectors and bitmaps alike, to the half pixel."""

from __future__ import annotations

import math
import warnings
from collections import Counter

import albumentations as A
import numpy as np
import pytest
from augmenting import SIZE, as_bitmaps, configured
from factories import make_instances, make_picture, polygon, rectangle, star
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.resize import Resize, resize_image
from instseg.data.transforms.targets import MovingInstances

# ---- resize


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [((480, 640), (800, 1067)), ((640, 480), (1067, 800)), ((300, 900), (444, 1333)), ((2000, 2000), (800, 800))],
)
def test_the_shorter_side_gets_the_wanted_length_unless_the_longer_grows_too_long(image_size, expected):
    assert Resize(800, 1333).output_size(image_size) == expected
    assert Resize(800, 1333)(make_picture(image_size)).shape == (*expected, 3)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 900), st.integers(0, 600), st.floats(0.1, 2))
def test_no_resize_passes_the_limits_or_vanishes(height, width, min_size, extra, scale):
    output = Resize(min_size, min_size + extra).output_size((height, width), scale)
    assert min(output) >= 1
    assert max(output) <= max(1, math.ceil((min_size + extra) * scale))


def test_an_image_of_the_right_size_is_not_touched():
    picture = make_picture((60, 80))
    assert resize_image(picture, (60, 80)) is picture


def test_shrinking_far_averages_instead_of_skipping_pixels():
    stripes = np.zeros((80, 80, 3), dtype=np.uint8)
    stripes[:, ::4] = 200
    assert (resize_image(stripes, (20, 20)) == 50).all()


@pytest.mark.parametrize(("min_size", "max_size"), [(0, 10), (20, 10), (-1, 5)])
def test_sizes_that_cannot_be_are_refused(min_size, max_size):
    with pytest.raises(InstsegError, match=f"^min_size={min_size} must be in 1..max_size={max_size}"):
        Resize(min_size, max_size)


@pytest.mark.parametrize("scale_range", [[1.0], [0, 1], [2, 1], [-1, 1], [], 1.0, ["a", "b"], [1, float("inf")]])
def test_a_scale_range_that_cannot_be_is_refused(scale_range):
    with pytest.raises(InstsegError, match=r"augmentation.scale_range"):
        Augmentation(60, 80, scale_range=scale_range)


def test_a_visibility_that_is_no_share_is_refused():
    with pytest.raises(InstsegError, match=r"augmentation.min_visibility=10: expected a fraction"):
        Augmentation(60, 80, min_visibility=10)


# ---- without augmentation


def test_a_polygon_keeps_its_exact_box_through_a_resize():
    square = rectangle(10.25, 20, 30.5, 45)
    image, boxes, labels, box_masks = Augmentation(120, 160)(make_picture(SIZE), make_instances(square), None)
    assert image.shape == (120, 160, 3)
    assert boxes.tolist() == [[20.5, 40, 61, 90]]
    assert labels.tolist() == [1]
    assert box_masks.all()


def test_a_bitmap_keeps_its_box_through_a_resize():
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[20:45, 10:30] = 1
    boxes, box_masks = Augmentation(120, 160)(make_picture(SIZE), make_instances(bitmask_to_rle(mask)), None)[1::2]
    assert boxes.tolist() == [[20, 40, 60, 90]]
    assert box_masks.all()


def test_what_reaches_out_of_the_image_is_cut_at_its_border():
    boxes = Augmentation(60, 80)(make_picture(SIZE), make_instances(rectangle(-5, 50, 20, 70)), None)[1]
    assert boxes.tolist() == [[0, 50, 20, 60]]


def test_what_lies_beyond_the_border_of_a_photo_does_not_come_into_view_when_it_is_turned():
    shrink = Augmentation(60, 80, {"shrink": A.Affine(scale=0.5, p=1.0)})
    across, beyond = rectangle(40, 20, 120, 40), rectangle(90, 20, 120, 40)
    image, boxes, labels, _ = shrink(make_picture(SIZE), make_instances(across, beyond), np.random.default_rng(0))
    assert labels.tolist() == [1]
    assert boxes[0] == pytest.approx([40, 25, 60, 35], abs=0.01)
    assert (image[:, 61:] == 0).all(), "the photo ends there"


def test_what_is_thinner_than_a_pixel_after_the_resize_is_no_target():
    thin, thick = rectangle(10, 10, 50, 10.9), rectangle(10, 10, 50, 11.1)
    labels = Augmentation(60, 80)(make_picture(SIZE), make_instances(thin, thick), None)[2]
    assert labels.tolist() == [2]


def test_parts_of_one_instance_stay_one_instance():
    two_parts = [rectangle(5, 5, 15, 15), rectangle(40, 30, 60, 50)]
    _, boxes, _, box_masks = Augmentation(60, 80)(make_picture(SIZE), make_instances(two_parts), None)
    assert boxes.tolist() == [[5, 5, 60, 50]]
    assert box_masks.mean() == pytest.approx((100 + 400) / (55 * 45), abs=0.01)


def test_evaluation_never_augments():
    picture, instances = make_picture(SIZE), make_instances(star(30, 30, 20))
    augmentation = configured("flip_crop", train={"flip": {"p": 1.0}, "crop": {"p": 1.0}})
    for _ in range(3):
        image, boxes, *_ = augmentation(picture, instances, None)
        assert np.array_equal(image, picture)
        assert boxes[0] == pytest.approx([*star(30, 30, 20).min(0), *star(30, 30, 20).max(0)], abs=1e-4)


# ---- mirroring, exact


FLIPS = {
    "horizontal": (A.HorizontalFlip(p=1.0), lambda x, y: (80 - x, y)),
    "vertical": (A.VerticalFlip(p=1.0), lambda x, y: (x, 60 - y)),
    "transpose": (A.Transpose(p=1.0), lambda x, y: (y, x)),
}


@pytest.mark.parametrize("name", FLIPS)
def test_a_mirrored_polygon_is_where_its_pixels_are(name):
    """A pixel at 0 goes to W - 1, a continuous coordinate of 0 to W: half a pixel wrong would show here."""
    transform, moved = FLIPS[name]
    corner = polygon((0, 0), (7.25, 0), (7.25, 4.5), (0, 4.5))
    expected = np.array([moved(x, y) for x, y in corner])
    image, boxes, _, _ = Augmentation(60, 80, {"flip": transform})(
        make_picture(SIZE), make_instances(corner), np.random.default_rng(0)
    )
    assert boxes[0].tolist() == [*expected.min(axis=0), *expected.max(axis=0)]
    plain = Augmentation(60, 80)(make_picture(SIZE), make_instances(corner), None)[0]
    x, y = (int(v) for v in np.floor(moved(0.5, 0.5)))
    assert image[y, x].tolist() == plain[0, 0].tolist()


@pytest.mark.parametrize("name", FLIPS)
def test_a_mirrored_bitmap_is_exactly_its_pixels(name):
    mask = rle_to_bitmask(polygons_to_rle([star(25, 30, 22)], SIZE))
    moving = MovingInstances(make_instances(bitmask_to_rle(mask)), SIZE)
    pipeline = Augmentation(60, 80, {"flip": FLIPS[name][0]}).pipeline
    image = moving.transform(pipeline, mask[..., None].repeat(3, axis=2))
    assert np.array_equal(moving.maps.maps[0], image[..., 0])


def test_mirroring_twice_changes_nothing():
    twice = {"one": A.HorizontalFlip(p=1.0), "two": A.HorizontalFlip(p=1.0)}
    shape = star(31.3, 28.7, 20)
    boxes, box_masks = Augmentation(60, 80, twice)(make_picture(SIZE), make_instances(shape), np.random.default_rng(0))[
        1::2
    ]
    plain_boxes, plain_masks = Augmentation(60, 80)(make_picture(SIZE), make_instances(shape), None)[1::2]
    assert np.abs(boxes - plain_boxes).max() < 1e-4
    assert (box_masks != plain_masks).mean() < 0.001


# ---- cropping


def crop(x_min: int, y_min: int, x_max: int, y_max: int, min_visibility: float = 0.1) -> Augmentation:
    transform = A.Crop(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max, p=1.0)
    return Augmentation(60, 80, {"crop": transform}, min_visibility=min_visibility)


def cropped(augmentation: Augmentation, *shapes, bitmaps: bool = False):
    instances = make_instances(*shapes)
    instances = as_bitmaps(instances) if bitmaps else instances
    return augmentation(make_picture(SIZE), instances, np.random.default_rng(0))[1:]


@pytest.mark.parametrize("bitmaps", [False, True], ids=["polygons", "bitmaps"])
def test_a_crop_removes_what_it_cuts_off_and_trims_the_rest(bitmaps):
    inside, across, outside = rectangle(30, 20, 40, 30), rectangle(50, 20, 70, 30), rectangle(2, 2, 12, 12)
    boxes, labels, box_masks = cropped(crop(20, 10, 60, 50), inside, across, outside, bitmaps=bitmaps)
    assert labels.tolist() == [1, 2]
    assert boxes.tolist() == [[10, 10, 20, 20], [30, 10, 40, 20]]
    assert box_masks.all()


@pytest.mark.parametrize("bitmaps", [False, True], ids=["polygons", "bitmaps"])
def test_what_is_left_of_an_instance_must_reach_the_wanted_visibility(bitmaps):
    quarter_left, half_left = rectangle(15, 20, 35, 30), rectangle(20, 20, 40, 30)
    window = (30, 10, 70, 50)
    for min_visibility, expected in ((0.0, [1, 2]), (0.24, [1, 2]), (0.26, [2]), (0.51, [])):
        labels = cropped(crop(*window, min_visibility=min_visibility), quarter_left, half_left, bitmaps=bitmaps)[1]
        assert labels.tolist() == expected


@pytest.mark.parametrize("bitmaps", [False, True], ids=["polygons", "bitmaps"])
def test_an_instance_that_only_shrinks_with_its_image_stays_visible(bitmaps):
    shrink = A.Affine(scale=0.25, p=1.0)
    augmentation = Augmentation(60, 80, {"shrink": shrink}, min_visibility=0.9)
    assert cropped(augmentation, rectangle(20, 20, 60, 40), bitmaps=bitmaps)[1].tolist() == [1]


def test_a_part_that_only_touches_the_crop_does_not_widen_the_box():
    boxes = cropped(crop(20, 10, 60, 50), [rectangle(30, 20, 40, 30), rectangle(60, 40, 70, 45)])[0]
    assert boxes.tolist() == [[10, 10, 20, 20]]


# ---- what a transform must not do


def test_the_same_generator_state_gives_the_same_sample():
    augmentation = configured("flip_crop")
    picture, instances = make_picture(SIZE), make_instances(star(40, 30, 25))
    first, second = (augmentation(picture, instances, np.random.default_rng([1, 2, 3])) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_original_image_and_instances_are_left_as_they_were():
    picture, instances = make_picture(SIZE), make_instances(star(40, 30, 25), bitmask_to_rle(np.ones(SIZE)))
    untouched, points = picture.copy(), instances.polygons[0][0].copy()
    configured("flip", train={"flip": {"p": 1.0}})(picture, instances, np.random.default_rng(0))
    assert np.array_equal(picture, untouched)
    assert np.array_equal(instances.polygons[0][0], points)


@pytest.mark.parametrize("transform", [A.Normalize(), A.ToFloat(max_value=255)])
def test_a_transform_that_makes_floats_is_refused_by_name_of_the_key(transform):
    with pytest.raises(InstsegError, match=r"augmentation.train: images must stay uint8"):
        Augmentation(60, 80, {"x": transform})(make_picture(SIZE), make_instances(), np.random.default_rng(0))


def test_a_transform_that_drops_polygon_points_is_refused():
    moving = MovingInstances(make_instances(star(40, 30, 25)), SIZE)
    with pytest.raises(InstsegError, match="removes points of the polygons"):
        moving.transform(lambda image, keypoints: {"image": image, "keypoints": keypoints[1:]}, make_picture(SIZE))


def test_a_transform_of_colours_alone_moves_nothing_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        augmentation = Augmentation(60, 80, {"gray": A.ToGray(p=1.0)})
    mask = polygons_to_rle([rectangle(40, 30, 60, 50)], SIZE)
    image, boxes, *_ = augmentation(
        make_picture(SIZE), make_instances(rectangle(3.5, 4, 20, 30), mask), np.random.default_rng(0)
    )
    assert (image[..., 0] == image[..., 1]).all()
    assert boxes.tolist() == [[3.5, 4, 20, 30], [40, 30, 60, 50]]


def test_transforms_are_drawn_independently_of_each_other():
    """A generator of its own with the same seed for each would mirror across only what it also turns upside down."""
    corner = np.zeros((*SIZE, 3), dtype=np.uint8)
    corner[:30, :40] = 255
    both = Augmentation(60, 80, {"across": A.HorizontalFlip(p=0.5), "upside_down": A.VerticalFlip(p=0.5)})
    images = [both(corner, make_instances(), np.random.default_rng(seed))[0] for seed in range(200)]
    seen = Counter((int(image[0, -1, 0]), int(image[-1, 0, 0]), int(image[-1, -1, 0])) for image in images)
    assert len(seen) == 4
    assert min(seen.values()) > 30


def test_one_transform_can_be_switched_off():
    assert configured("flip", train={"flip": None}).pipeline is None
