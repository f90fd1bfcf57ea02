"""Where the instances go when their image is resized, mirrored, cut: vectors and bitmaps alike, to the half pixel."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
from factories import drawn, make_instances, make_picture, polygon, rectangle, star
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from omegaconf import OmegaConf

from instseg.data.label_maps import MAX_PER_MAP, pack_label_maps
from instseg.data.targets import MovingInstances
from instseg.data.transforms import Augmentation, Resize, resize_image
from instseg.errors import InstsegError
from instseg.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.types import BOX_MASK_SIZE, Instances

CONF = Path(__file__).parents[2] / "conf" / "augmentation"
CONFIGS = sorted(path.stem for path in CONF.glob("*.yaml"))
SIZE = (60, 80)


def config_of(name: str) -> Any:
    """A file of conf/augmentation with what it builds on, as Hydra's defaults lists put them together."""
    own = OmegaConf.load(CONF / f"{name}.yaml")
    parents = own.pop("defaults", [])
    return OmegaConf.merge(*[config_of(parent) for parent in parents], own)


def configured(name: str, min_size: int = 60, max_size: int = 80, **changes: Any) -> Augmentation:
    config = OmegaConf.create({"dataset": {"suggested": {"min_size": min_size, "max_size": max_size}}})
    config.augmentation = OmegaConf.merge(config_of(name), changes)
    return instantiate(config.augmentation, _convert_="all")


def on_canvas(boxes, box_masks, size) -> list[NDArray[np.bool_]]:
    """Each box mask drawn back into the image, by asking at every pixel's centre."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    canvases = []
    for (x1, y1, x2, y2), mask in zip(boxes.astype(np.float64), box_masks, strict=True):
        column = np.floor((x - x1) / (x2 - x1) * BOX_MASK_SIZE).astype(int)
        row = np.floor((y - y1) / (y2 - y1) * BOX_MASK_SIZE).astype(int)
        inside = (column >= 0) & (column < BOX_MASK_SIZE) & (row >= 0) & (row < BOX_MASK_SIZE)
        canvas = np.zeros(size, dtype=bool)
        canvas[inside] = mask[row[inside], column[inside]] > 0
        canvases.append(canvas)
    return canvases


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = (one | other).sum()
    return (one & other).sum() / union if union else 1.0


def as_bitmaps(instances: Instances, size=SIZE) -> Instances:
    rles = [polygons_to_rle(parts, size) for parts in instances.polygons]
    return make_instances(*rles, labels=instances.labels.tolist())


def painted(instances: Instances, size=SIZE) -> NDArray[np.uint8]:
    """A black picture in which channel i shows instance i."""
    picture = np.zeros((*size, 3), dtype=np.uint8)
    for i, parts in enumerate(instances.polygons):
        picture[..., i] = 255 * rle_to_bitmask(polygons_to_rle(parts, size))
    return picture


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
    assert max(output) <= max(1, round((min_size + extra) * scale))


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


@pytest.mark.parametrize("scale_range", [[1.0], [0, 1], [2, 1], [-1, 1], []])
def test_a_scale_range_that_cannot_be_is_refused(scale_range):
    with pytest.raises(InstsegError, match=r"augmentation.scale_range"):
        Augmentation(60, 80, scale_range=scale_range)


def test_a_visibility_that_is_no_share_is_refused():
    with pytest.raises(InstsegError, match=r"augmentation.min_visibility=10: expected a share"):
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


@pytest.mark.parametrize("random", [None, np.random.default_rng(0)], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", CONFIGS)
def test_an_image_without_instances_keeps_the_full_schema(name, random):
    image, boxes, labels, box_masks = configured(name)(make_picture(SIZE), make_instances(), random)
    assert image.dtype == np.uint8
    assert (boxes.shape, boxes.dtype) == ((0, 4), np.float32)
    assert (labels.shape, labels.dtype) == ((0,), np.int64)
    assert (box_masks.shape, box_masks.dtype) == ((0, BOX_MASK_SIZE, BOX_MASK_SIZE), np.uint8)


def test_what_reaches_out_of_the_image_is_cut_at_its_border():
    boxes = Augmentation(60, 80)(make_picture(SIZE), make_instances(rectangle(-5, 50, 20, 70)), None)[1]
    assert boxes.tolist() == [[0, 50, 20, 60]]


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


# ---- vectors, bitmaps and pixels agree, for every configuration


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CONFIGS)
def test_outlines_and_bitmaps_go_where_the_pixels_go(name, seed):
    size = (240, 320)
    instances = make_instances(star(110, 130, 100), rectangle(150, 20, 310, 220), star(250, 90, 60))
    augmentation = configured(name, 200, 300, min_visibility=0.0)
    for kind in (instances, as_bitmaps(instances, size)):
        image, boxes, labels, box_masks = augmentation(painted(instances, size), kind, np.random.default_rng(seed))
        drawn_back = dict(zip(labels.tolist(), on_canvas(boxes, box_masks, image.shape[:2]), strict=True))
        for label in (1, 2, 3):
            in_pixels = image[..., label - 1] >= 128
            if in_pixels.sum() > 900:
                assert iou(drawn_back[label], in_pixels) > 0.95


@pytest.mark.parametrize("name", CONFIGS)
def test_every_instance_of_an_augmented_image_lies_inside_it(name):
    augmentation = configured(name)
    for seed in range(10):
        image, boxes, labels, box_masks = augmentation(
            make_picture((50, 90)),
            make_instances(star(5, 5, 30), rectangle(60, 20, 99, 60)),
            np.random.default_rng(seed),
        )
        height, width = image.shape[:2]
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
        assert set(np.unique(box_masks)) <= {0, 1}
        assert len(boxes) == len(labels) == len(box_masks)


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


# ---- label maps


def test_bitmaps_that_do_not_touch_share_a_map_and_overlapping_ones_do_not():
    left, right = drawn("##....", "##...."), drawn("....##", "....##")
    across, nothing = drawn(".####.", "......"), drawn("......", "......")
    masks = [left, right, across, nothing]
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], (2, 6))
    assert len(packed.maps) == 2
    assert [map_index for map_index, _ in packed.places] == [0, 0, 1, 0]
    boxes, bitmasks = zip(*(packed.box_and_bitmask(i) for i in range(4)), strict=True)
    assert [box.tolist() for box in boxes] == [[0, 0, 2, 2], [4, 0, 6, 2], [1, 0, 5, 1], [0, 0, 0, 0]]
    assert [bitmask.shape for bitmask in bitmasks] == [(2, 2), (2, 2), (1, 4), (0, 0)]
    assert all(bitmask.all() for bitmask in bitmasks)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_packing_and_taking_out_again_changes_no_pixel(seed, num_masks):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 15, 2))
    masks = [(rng.random(size) < rng.choice([0, 0.02, 0.3, 1])).astype(np.uint8) for _ in range(num_masks)]
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], size)
    for i, mask in enumerate(masks):
        (x1, y1, x2, y2), bitmask = packed.box_and_bitmask(i)
        again = np.zeros(size, dtype=np.uint8)
        again[int(y1) : int(y2), int(x1) : int(x2)] = bitmask
        assert np.array_equal(again, mask)


def test_one_map_holds_255_instances_and_a_second_one_the_rest():
    masks = []
    for i in range(MAX_PER_MAP + 20):
        mask = np.zeros((20, 20), dtype=np.uint8)
        mask[i // 20, i % 20] = 1
        masks.append(mask)
    packed = pack_label_maps([bitmask_to_rle(mask) for mask in masks], (20, 20))
    assert len(packed.maps) == 2
    for i in range(len(masks)):
        assert packed.box_and_bitmask(i)[0].tolist() == [i % 20, i // 20, i % 20 + 1, i // 20 + 1]


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


def test_a_transform_that_drops_outline_points_is_refused():
    moving = MovingInstances(make_instances(star(40, 30, 25)), SIZE)
    with pytest.raises(InstsegError, match="removes points of the outlines"):
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


def test_one_transform_can_be_switched_off():
    assert configured("flip", train={"flip": None}).pipeline is None


def test_an_augmentation_survives_pickling_as_workers_need():
    augmentation = configured("large_scale_jitter")
    picture, instances = make_picture(SIZE), make_instances(star(40, 30, 25))
    again = pickle.loads(pickle.dumps(augmentation))
    first, second = (each(picture, instances, np.random.default_rng(5)) for each in (augmentation, again))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
