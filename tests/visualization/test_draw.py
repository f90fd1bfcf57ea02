"""What can be asserted of a picture: where it changed, in which colour, that nothing is cut off, and how fast."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.categories import Categories, category_colour
from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import GroundTruth, Prediction, Rle, Target
from instseg.visualization.curves import _third_panel, plot_curves
from instseg.visualization.draw import draw_ground_truth, draw_instances, draw_prediction, draw_target
from instseg.visualization.sheets import contact_sheet, side_by_side, write_image
from instseg.visualization.text import contrasting, draw_label, fitting, font_of

CATEGORIES = Categories(("car", "sign board"))
GRAY = 90


def gray(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GRAY, np.uint8)


def disc(height: int, width: int, x: int, y: int, radius: int) -> NDArray[np.uint8]:
    rows, columns = np.ogrid[:height, :width]
    return ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.uint8)


def one_disc(height: int = 800, width: int = 800) -> tuple[NDArray[np.float64], NDArray[np.int64], list[Rle]]:
    box = np.array([[300.0, 300.0, 501.0, 501.0]])
    return box, np.array([1]), [bitmask_to_rle(disc(height, width, 400, 400, 100))]


def test_a_mask_is_tinted_inside_and_only_there():
    image = gray(800, 800)
    picture = draw_instances(image, *one_disc(), CATEGORIES)
    tint = np.round(0.55 * GRAY + 0.45 * np.array(category_colour(1)))
    np.testing.assert_allclose(picture[400, 400], tint, atol=2)
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
    assert not changed[:130].any()  # the name stands right above the box


def test_letters_and_lines_grow_with_the_picture():
    def label_height(side: int) -> int:
        mask = np.zeros((side, side), np.uint8)
        mask[side // 2 :, side // 2 :] = 1
        box = np.array([[side / 2, side / 2, side, side]])
        picture = draw_instances(gray(side, side), box, np.array([1]), [bitmask_to_rle(mask)], CATEGORIES)
        return int((picture[: side // 2 - 8, side // 2 + 1] != GRAY).any(1).sum())

    assert label_height(3000) > 2.5 * label_height(900) > 30


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


def test_a_target_is_drawn_from_its_box_masks_as_array_or_tensor():
    box_mask = torch.zeros(1, 112, 112, dtype=torch.uint8)
    box_mask[:, 56:] = 1  # the lower half of its box
    target = Target(torch.tensor([[100.0, 200.0, 301.0, 600.0]]), torch.tensor([2]), box_mask)
    picture = draw_target(gray(700, 800), target, CATEGORIES)
    assert (picture[300, 200] == GRAY).all()
    np.testing.assert_allclose(picture[500, 200], np.round(0.55 * GRAY + 0.45 * np.array(category_colour(2))), atol=2)
    from_tensor = draw_target(torch.from_numpy(gray(700, 800)).permute(2, 0, 1), target, CATEGORIES)
    np.testing.assert_array_equal(from_tensor, picture)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    box=st.lists(st.floats(-400, 700), min_size=4, max_size=4),
    text=st.text(max_size=60),
)
def test_a_label_never_leaves_the_picture(size, box, text):
    taken: list[tuple[int, int, int, int]] = []
    draw_label(gray(*size), np.array(box), text, (255, 0, 0), 12, taken)
    ((x1, y1, x2, y2),) = taken
    assert 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]


def test_labels_of_stacked_boxes_do_not_cover_each_other():
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(4):
        draw_label(gray(400, 400), np.array([100.0, 100, 300, 300]), "sign board", (0, 0, 255), 14, taken)
    covered = np.zeros((400, 400), int)
    for x1, y1, x2, y2 in taken:
        covered[y1:y2, x1:x2] += 1
    assert covered.max() == 1


def test_long_names_are_cut_with_dots():
    cut = fitting("a name that goes on and on", 14, 100)
    assert cut.endswith("…") and font_of(14).getlength(cut) <= 100
    assert fitting("short", 14, 100) == "short"


@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_letters_stand_out_from_their_plate(colour):
    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted((luminance(colour), luminance(contrasting(colour))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.1 AA


def test_two_pictures_stand_side_by_side_and_panoramas_one_above_the_other():
    upright = side_by_side(gray(600, 800), gray(600, 800), height_px=300)
    assert upright.shape[0] > 300 and upright.shape[1] in range(800, 820)
    wide = side_by_side(gray(340, 11401), gray(340, 11401), height_px=480)
    assert wide.shape[1] == 1200 and wide.shape[0] in range(70, 160)


def test_a_contact_sheet_holds_every_tile_and_fills_the_last_row_with_paper():
    sheet = contact_sheet([gray(50, 100), gray(300, 200), gray(1, 1)], columns=2, tile_px=100)
    assert sheet.shape[0] == sheet.shape[1] == 204
    assert (sheet[104:, 104:] == 255).all()
    assert (sheet[50, 50] == GRAY).all() and (sheet[5, 50] == 255).all()
    with pytest.raises(InstsegError, match="at least one"):
        contact_sheet([])


@pytest.mark.parametrize("name", ["new/a.png", "a.jpg"])
def test_pictures_are_written_whole(tmp_path, name):
    write_image(tmp_path / name, gray(20, 30))
    with PilImage.open(tmp_path / name) as image:
        assert image.size == (30, 20) and image.format == {"png": "PNG", "jpg": "JPEG"}[name[-3:]]
    assert [p.name for p in (tmp_path / name).parent.iterdir() if p.is_file()] == [name.split("/")[-1]]


def test_curves_survive_single_points_gaps_and_nothing(tmp_path):
    row = {"epoch": 1.0, "train/loss": 2.0, "val/loss": math.inf, "lr": 0.01, "val/loss_mask": 1.0}
    many = {f"val/segm_map/{n}": 0.1 for n in range(30)}
    histories = {"one.png": [row], "all.png": [row, {**row, **many, "epoch": 2.0, "val/segm_map": math.nan}] * 40}
    for name, rows in {**histories, "none.png": []}.items():
        plot_curves(rows, tmp_path / "plots" / name)
        with PilImage.open(tmp_path / "plots" / name) as image:
            assert image.format == "PNG" and image.size == (1300, 800)
    assert len(list((tmp_path / "plots").iterdir())) == 3


def test_the_third_panel_tells_categories_apart_and_where_there_is_one_the_parts_of_the_loss():
    row = {"val/segm_map/car": 0.1, "val/loss_mask": 1.0}
    assert _third_panel([row]) == {"parts of the loss on val": {"val/loss_mask": "mask"}}
    assert list(*_third_panel([{**row, "val/segm_map/dog": 0.1}]).values()) == ["val/segm_map/car", "val/segm_map/dog"]
