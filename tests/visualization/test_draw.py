"""What can be asserted of a picture: where it changed, in which colour, that nothing is cut off, and how fast."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import GroundTruth, IgnoredRegions, Prediction, Rle, Target
from instseg.visualization.canvas import MAX_BOXES, OPACITY
from instseg.visualization.colours import category_colour
from instseg.visualization.draw import draw_ground_truth, draw_instances, draw_prediction, draw_target
from instseg.visualization.text import text_mask

CATEGORIES = Categories(("car", "sign board"))
GRAY = 90
LONG = "W" * 10_000


def gray(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GRAY, np.uint8)


def disc(height: int, width: int, x: int, y: int, radius: int) -> NDArray[np.uint8]:
    rows, columns = np.ogrid[:height, :width]
    return ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.uint8)


def tinted(label: int) -> NDArray[np.float64]:
    return np.round((1 - OPACITY) * GRAY + OPACITY * np.array(category_colour(label)))


def one_disc(height: int = 800, width: int = 800) -> tuple[NDArray[np.float64], NDArray[np.int64], list[Rle]]:
    box = np.array([[300.0, 300.0, 501.0, 501.0]])
    return box, np.array([1]), [bitmask_to_rle(disc(height, width, 400, 400, 100))]


def test_a_mask_is_tinted_inside_and_only_there():
    image = gray(800, 800)
    picture = draw_instances(image, *one_disc(), CATEGORIES)
    np.testing.assert_allclose(picture[400, 400], tinted(1), atol=2)
    assert (picture[320, 320] == GRAY).all()  # in the box, outside the disc
    assert (picture[520:] == GRAY).all()  # below the box
    assert (image == GRAY).all()  # the photo itself is as it was


def test_a_hole_in_a_mask_stays_open():
    ring = disc(800, 800, 400, 400, 100) - disc(800, 800, 400, 400, 50)
    box, labels, _ = one_disc()
    picture = draw_instances(gray(800, 800), box, labels, [bitmask_to_rle(ring)], CATEGORIES)
    assert (picture[400, 400] == GRAY).all()


def test_a_category_has_the_same_colour_in_every_picture():
    first = draw_instances(gray(800, 800), *one_disc(), CATEGORIES)
    box, _, rles = one_disc()
    both = draw_instances(gray(800, 800), box.repeat(2, 0), np.array([2, 1]), [*rles, *rles], CATEGORIES)
    np.testing.assert_array_equal(first[500, 400], category_colour(1))  # the lower edge of the box
    np.testing.assert_array_equal(both[500, 400], category_colour(1))


def test_two_instances_of_a_category_have_shades_of_its_colour_unless_they_are_coloured_by_category():
    boxes = np.array([[100.0, 100, 301, 301], [500, 100, 701, 301]])
    instances = boxes, np.array([1, 1]), [bitmask_to_rle(disc(800, 800, x, 200, 100)) for x in (200, 600)]
    shaded = draw_instances(gray(800, 800), *instances, CATEGORIES)
    plain = draw_instances(gray(800, 800), *instances, CATEGORIES, colour_by="category")
    assert (shaded[200, 200] != shaded[200, 600]).any()
    assert (plain[200, 200] == plain[200, 600]).all()


def test_the_name_of_the_only_category_is_left_out_and_scores_stay():
    only, image = Categories(("nucleus",)), gray(800, 800)
    unnamed = draw_instances(image, *one_disc(), only)
    np.testing.assert_array_equal(unnamed[:290], np.full_like(unnamed[:290], GRAY))  # above the box, where names stand
    assert (draw_instances(image, *one_disc(), only, np.array([0.93])) != unnamed).any()
    assert (draw_instances(image, *one_disc(), CATEGORIES) != unnamed).any()


def test_the_boxes_of_many_instances_are_left_out():
    boxes = np.array([[20.0 + 50 * i, 100, 41 + 50 * i, 121] for i in range(MAX_BOXES + 1)])
    rles = [bitmask_to_rle(disc(800, 800, 30 + 50 * i, 110, 10)) for i in range(MAX_BOXES + 1)]
    labels = np.ones(len(boxes), np.int64)
    many = draw_instances(gray(800, 800), boxes, labels, rles, CATEGORIES)
    few = draw_instances(gray(800, 800), boxes[1:], labels[1:], rles[1:], CATEGORIES)
    assert (few[120, 70] != GRAY).any() and (many[120, 70] == GRAY).all()  # a corner of the second box


def test_texture_is_seen_through_a_mask():
    image = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    inside = draw_instances(image, *one_disc(), CATEGORIES)[380:421, 380:421]
    assert inside.std() > 0.6 * image.std()


def test_a_picture_is_drawn_at_the_size_it_will_have():
    picture = draw_instances(gray(800, 800), *one_disc(), CATEGORIES, size=(200, 200))
    changed = (picture != GRAY).any(2)
    assert picture.shape == (200, 200, 3)
    assert changed[84:117, 84:117].all() and not changed[150:].any()


def test_crowds_are_hatched_in_gray_without_a_box():
    box, labels, rles = one_disc()
    truth = GroundTruth(1, (800, 800), box, labels, np.array([1.0]), np.array([True]), rles)
    picture = draw_ground_truth(gray(800, 800), truth, CATEGORIES)
    inside = picture[390:411, 390:411].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) >= 2  # stripes
    assert (inside.max(1) == inside.min(1)).all()  # of gray
    assert (picture[490:501, 305] == GRAY).all()  # no box


def test_instances_below_the_threshold_are_not_drawn():
    box, labels, rles = one_disc()
    prediction = Prediction(1, (800, 800), box.astype(np.float32), labels, np.array([0.4], np.float32), rles)
    assert (draw_prediction(gray(800, 800), prediction, CATEGORIES, 0.5) == GRAY).all()
    assert (draw_prediction(gray(800, 800), prediction, CATEGORIES, 0.4) != GRAY).any()


def test_small_pictures_are_enlarged_and_large_ones_keep_their_size():
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64), []
    for size, drawn in {
        (1, 1): (640, 640),
        (48, 64): (480, 640),
        (480, 640): (480, 640),
        (340, 1100): (340, 1100),
    }.items():
        assert draw_instances(gray(*size), *nothing, CATEGORIES).shape[:2] == drawn


def test_an_enlarged_picture_has_mask_and_box_at_the_enlarged_place():
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:24] = 1
    box = np.array([[8.0, 16.0, 24.0, 48.0]])
    picture = draw_instances(gray(64, 64), box, np.array([1]), [bitmask_to_rle(mask)], CATEGORIES)
    changed = (picture != GRAY).any(2)
    assert changed[162:478, 82:238].all()
    assert not changed[490:].any() and not changed[:, 250:].any()
    assert not changed[:120].any()  # the name stands right above the box


def test_letters_and_lines_grow_with_the_picture():
    def label_height(side: int) -> int:
        mask = np.zeros((side, side), np.uint8)
        mask[side // 2 :, side // 2 :] = 1
        box = np.array([[side / 2, side / 2, side, side]])
        picture = draw_instances(gray(side, side), box, np.array([1]), [bitmask_to_rle(mask)], CATEGORIES)
        return int((picture[: side // 2 - 8, side // 2 + 1] != GRAY).any(1).sum())

    assert label_height(3000) > 2 * label_height(900) > 30


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_picture_with_any_boxes_is_drawn(data):
    height, width = (data.draw(st.integers(1, 90)) for _ in range(2))
    numbers = st.floats(-50, 150, width=32)
    boxes, rles = [], []
    for _ in range(data.draw(st.integers(0, 4))):
        x1, x2 = sorted(data.draw(st.tuples(numbers, numbers)))
        y1, y2 = sorted(data.draw(st.tuples(numbers, numbers)))
        boxes.append([x1, y1, x2, y2])
        mask = np.zeros((height, width), np.uint8)
        mask[max(int(y1), 0) : max(int(y2), 0), max(int(x1), 0) : max(int(x2), 0)] = 1
        rles.append(bitmask_to_rle(mask))
    labels = np.array([data.draw(st.integers(1, 2)) for _ in boxes], np.int64)
    picture = draw_instances(gray(height, width), np.array(boxes).reshape(-1, 4), labels, rles, CATEGORIES)
    assert picture.dtype == np.uint8 and max(picture.shape[:2]) >= 640
    target = Target(torch.tensor(boxes).reshape(-1, 4), torch.from_numpy(labels), torch.ones(len(boxes), 7, 7).byte())
    assert draw_target(gray(height, width), target, CATEGORIES).shape == picture.shape


def test_a_mask_of_another_size_than_the_image_is_refused():
    with pytest.raises(InstsegError, match=r"mask of size \(800, 800\) on an image of size \(700, 800\)"):
        draw_instances(gray(700, 800), *one_disc(), CATEGORIES)


def test_a_region_to_ignore_is_hatched_in_a_target():
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 112, 112, dtype=torch.uint8)
    region = IgnoredRegions(torch.tensor([[100.0, 200.0, 301.0, 600.0]]), torch.ones(1, 112, 112, dtype=torch.uint8))
    picture = draw_target(gray(700, 800), Target(*nothing, region), CATEGORIES)
    inside = picture[300:400, 150:250]
    assert (inside == GRAY).all(2).any() and (inside != GRAY).any()
    assert (picture[:, 400:] == GRAY).all()


def test_an_instance_without_a_mask_is_a_dashed_box_with_nothing_inside():
    box, labels, rles = one_disc()
    no_mask = np.array([True])
    truth = GroundTruth(1, (800, 800), box, labels, np.array([1.0]), no_mask, rles, no_mask)
    full = torch.ones(1, 112, 112, dtype=torch.uint8)
    target = Target(torch.from_numpy(box).float(), torch.from_numpy(labels), full, has_mask=torch.tensor([False]))
    of_truth = draw_ground_truth(gray(800, 800), truth, CATEGORIES)
    of_target = draw_target(gray(800, 800), target, CATEGORIES)
    for picture in (of_truth, of_target):
        assert (picture[350:450, 350:450] == GRAY).all() and (picture != GRAY).any()
    with_mask = draw_target(gray(800, 800), replace(target, has_mask=None), CATEGORIES)
    assert (with_mask[350:450, 350:450] != GRAY).any()


def test_a_target_is_drawn_from_its_box_masks_as_array_or_tensor():
    box_mask = torch.zeros(1, 112, 112, dtype=torch.uint8)
    box_mask[:, 56:] = 1  # the lower half of its box
    target = Target(torch.tensor([[100.0, 200.0, 301.0, 600.0]]), torch.tensor([2]), box_mask)
    picture = draw_target(gray(700, 800), target, CATEGORIES)
    assert (picture[300, 200] == GRAY).all()
    np.testing.assert_allclose(picture[500, 200], tinted(2), atol=2)
    from_tensor = draw_target(torch.from_numpy(gray(700, 800)).permute(2, 0, 1), target, CATEGORIES)
    np.testing.assert_array_equal(from_tensor, picture)


def test_a_name_of_ten_thousand_letters_costs_no_more_to_draw_than_a_short_one():
    def seconds(name: str) -> float:
        text_mask.cache_clear()
        started = time.process_time()
        draw_instances(image, boxes, labels, rles, Categories((name, "other")))
        return time.process_time() - started

    image, boxes = gray(800, 800), np.array([[20.0 + 70 * i, 100, 61 + 70 * i, 141] for i in range(10)])
    rles = [bitmask_to_rle(disc(800, 800, 40 + 70 * i, 120, 20)) for i in range(10)]
    labels = np.ones(10, np.int64)
    seconds("warm")
    short, long = (min(seconds(name) for _ in range(3)) for name in ("a name that has as many letters as fit", LONG))
    assert long < 10 * short + 0.2
