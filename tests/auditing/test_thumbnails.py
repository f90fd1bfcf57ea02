"""Small pictures of what was found: the shape is marked where it is, and what cannot be drawn is passed over."""

from __future__ import annotations

import io

import numpy as np
import pytest
from auditing.made import IMAGE_SIZE, labelled, one_car_each
from factories import coco_annotation, polygon, rectangle, uncompressed
from PIL import Image as PilImage

from instseg.auditing.thumbnail_drawing import MARKED, OTHERS, OUTSIDE, SIDE_PX, draw
from instseg.auditing.thumbnails import MAX_THUMBNAILS

GREEN = np.full((60, 80, 3), (40, 160, 60), dtype=np.uint8)
WHOLE = np.array([0.0, 0, 80, 60])


def near(picture, colour, tolerance: int = 40):
    return (np.abs(picture.astype(int) - colour).max(axis=2) <= tolerance).nonzero()


def pictures(finding):
    return [np.array(PilImage.open(io.BytesIO(thumbnail.jpeg))) for thumbnail in finding.thumbnails]


def test_an_polygon_is_drawn_where_it_is():
    picture = draw(GREEN, WHOLE, [rectangle(20, 15, 40, 45)], [])
    assert max(picture.shape[:2]) == SIDE_PX
    rows, columns = near(picture, MARKED)
    scale = SIDE_PX / 80
    assert np.allclose([columns.min(), columns.max()], [20 * scale, 40 * scale], atol=3)
    assert np.allclose([rows.min(), rows.max()], [15 * scale, 45 * scale], atol=3)


def test_a_region_is_cut_out_and_enlarged():
    picture = draw(GREEN, np.array([10.0, 10, 30, 20]), [rectangle(10, 10, 20, 20)], [])
    assert picture.shape == (SIDE_PX // 2, SIDE_PX, 3)
    assert near(picture, MARKED)[1].max() <= SIDE_PX // 2 + 3


def test_what_lies_beyond_the_image_is_gray():
    picture = draw(GREEN, np.array([-20.0, 0, 80, 60]), [], [])
    edge = SIDE_PX // 5
    assert (picture[:, : edge - 8] == OUTSIDE).all() and (picture[:, edge + 8 :] != OUTSIDE).all()


def test_a_shape_of_a_single_point_is_encircled():
    assert len(near(draw(GREEN, WHOLE, [polygon((40, 30), (40, 30), (40, 30))], []), MARKED)[0]) > 100


def test_coordinates_beyond_all_bounds_can_be_drawn():
    draw(GREEN, WHOLE, [polygon((-1e12, 3), (1e12, 4), (40, 1e15))], [])


def test_other_shapes_of_the_image_have_another_colour():
    picture = draw(GREEN, WHOLE, [rectangle(5, 5, 20, 20)], [rectangle(40, 30, 70, 50)])
    assert len(near(picture, MARKED)[0]) and len(near(picture, OTHERS)[0])


# ---- of findings


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("shape_outside_image", rectangle(60, 20, 95, 50)),
        ("shape_sub_pixel", rectangle(30, 20, 30.5, 50)),
        ("shape_degenerate", polygon((20, 20), (50, 50), (20, 20))),
        ("shape_degenerate", rectangle(200, 200, 300, 300)),
        ("shape_invalid", [[12.0, 14.0]]),
    ],
)
def test_the_shape_that_is_wrong_is_shown_whether_the_index_holds_it_or_not(found, kind, shape):
    images = one_car_each("train", 10) | {"odd.png": [("car", shape)]}
    finding = found(kind, {"train": labelled(images)}, thorough=True)
    (picture,) = pictures(finding)
    assert len(near(picture, MARKED, 60)[0]) > 30
    assert finding.thumbnails[0].caption.startswith("odd.png: ")
    assert finding.thumbnails[0].width == picture.shape[1]


def test_bitmaps_are_shown_by_their_polygon(found):
    mask = np.ones(IMAGE_SIZE, dtype=np.uint8)
    mask[0] = 0
    finding = found("shape_whole_image", {"train": labelled({"odd.png": [("car", uncompressed(mask))]})}, thorough=True)
    assert len(near(pictures(finding)[0], MARKED, 60)[0]) > 100


def test_copies_are_shown_side_by_side(tmp_path, found):
    labels = labelled(one_car_each("train", 10))
    found("few_images", {"train": labels})
    (tmp_path / "train/train_3.png").write_bytes((tmp_path / "train/train_1.png").read_bytes())
    (picture,) = pictures(found("copy_identical", {"train": labels}, thorough=True))
    assert picture.shape[1] > 2 * picture.shape[0]


def test_different_images_are_shown_before_more_of_the_same(found):
    wide = rectangle(60, 20, 95, 50)
    images = {"a.png": [("car", wide + 10.0)] * 6} | {f"{i}.png": [("car", wide)] for i in range(3)}
    finding = found("shape_outside_image", {"train": labelled(images)}, thorough=True)
    captions = [thumbnail.caption.partition(":")[0] for thumbnail in finding.thumbnails]
    assert len(captions) == MAX_THUMBNAILS and sorted(captions) == ["0.png", "1.png", "2.png", "a.png"]
    assert captions[0] == "a.png", "the worst first"


def test_one_image_gives_several_pictures_where_there_is_no_other(found):
    wide = rectangle(60, 20, 95, 50)
    finding = found("shape_outside_image", {"train": labelled({"a.png": [("car", wide)] * 6})}, thorough=True)
    assert len(finding.thumbnails) == MAX_THUMBNAILS


def test_what_cannot_be_drawn_has_no_picture(tmp_path, found):
    labels = labelled(one_car_each("train", 10))
    labels["annotations"].append(coco_annotation(99, 1, 1, "not a shape"))
    (tmp_path / "train").mkdir()
    (tmp_path / "train/train_2.png").write_bytes(b"no picture")
    assert found("shape_invalid", {"train": labels}, thorough=True).thumbnails == ()
    assert found("image_unreadable", {"train": labels}, thorough=True).thumbnails == ()


def test_the_quick_audit_draws_nothing(found):
    images = one_car_each("train", 10) | {"odd.png": [("car", rectangle(60, 20, 95, 50))]}
    assert found("shape_outside_image", {"train": labelled(images)}).thumbnails == ()
