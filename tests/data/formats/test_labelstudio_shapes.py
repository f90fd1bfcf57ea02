"""The regions of a Label Studio annotation: what each kind covers, how they get their label, what cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import drawn, write_picture
from labelstudio_exports import (
    SIZE,
    SQUARE,
    annotation,
    bitmask_address,
    brush,
    polygon,
    read_all,
    region,
    task,
    write_export,
)

from instseg.core.masks import polygon_area, rle_to_bitmask, segmentation_to_rle

MASK = np.kron(drawn(".#..", "##.#"), np.ones((10, 10), dtype=np.uint8))


def instances(tmp_path, *results: Any) -> tuple[list[tuple[str, Any]], dict[str, list[str]]]:
    """Category and segmentation (of boxes: xyxy) of each instance of one image, and what was found."""
    labels, found = read_all(write_export(tmp_path, [task(annotation(*results))], "a.png"))
    names = {category["id"]: category["name"] for category in labels.coco["categories"]}
    read = []
    for one in labels.coco["annotations"]:
        x, y, width, height = one.get("bbox", (0, 0, 0, 0))
        read.append((names[one["category_id"]], one["segmentation"] or [x, y, x + width, y + height]))
    assert labels.coco["images"][0].items() >= {"file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}.items()
    return read, found


def one_shape(tmp_path, result: Any) -> Any:
    [(category, shape)], found = instances(tmp_path, result)
    assert category == "car" and not found
    return shape


def points_of(segmentation: list[list[float]]) -> np.ndarray:
    [flat] = segmentation
    return np.array(flat).reshape(-1, 2)


# ---- shapes


@pytest.mark.parametrize("closed", [True, False])
def test_polygons_are_percent_of_the_image(tmp_path, closed):
    shape = one_shape(tmp_path, region("polygonlabels", points=SQUARE, closed=closed))
    np.testing.assert_allclose(points_of(shape), [[4, 2], [20, 2], [20, 12], [4, 12]])


def test_turning_the_view_does_not_turn_the_shapes(tmp_path):
    shape = one_shape(tmp_path, polygon(image_rotation=90))
    np.testing.assert_allclose(points_of(shape)[0], [4, 2])


@pytest.mark.parametrize(
    "value", [{"x": 10, "y": 10, "width": 40, "height": 50}, {"x": 50, "y": 60, "width": -40, "height": -50}]
)
def test_rectangles_are_boxes_without_a_mask(tmp_path, value):
    np.testing.assert_allclose(one_shape(tmp_path, region("rectanglelabels", rotation=0, **value)), [4, 2, 20, 12])


def test_turned_rectangles_turn_in_pixels_about_their_first_corner(tmp_path):
    """A quarter clockwise: from 20, 2 the long side of 16 px goes down, the short one of 10 px to the left."""
    turned = region("rectanglelabels", x=50, y=10, width=40, height=50, rotation=90)
    [(_, shape)], found = instances(tmp_path, turned)
    np.testing.assert_allclose(points_of(shape), [[20, 2], [20, 18], [10, 18], [10, 2]], atol=1e-9)
    assert found == {"box_rotated": ["region r1 of task 1 (a.png)"]}


def test_ellipses_have_their_radii_in_percent_of_either_side(tmp_path):
    shape = points_of(one_shape(tmp_path, region("ellipselabels", x=50, y=50, radiusX=25, radiusY=10, rotation=0)))
    np.testing.assert_allclose([shape.min(axis=0), shape.max(axis=0)], [[10, 8], [30, 12]], atol=0.01)
    assert polygon_area(shape) == pytest.approx(np.pi * 10 * 2, rel=0.002)


def test_turned_ellipses_turn_about_their_centre(tmp_path):
    shape = points_of(one_shape(tmp_path, region("ellipselabels", x=50, y=50, radiusX=20, radiusY=10, rotation=90)))
    np.testing.assert_allclose([shape.min(axis=0), shape.max(axis=0)], [[18, 2], [22, 18]], atol=0.01)


@pytest.mark.parametrize("result", [brush(MASK), region("bitmasklabels", imageDataURL=bitmask_address(MASK))])
def test_brushes_and_bitmasks_keep_every_pixel(tmp_path, result):
    rle = segmentation_to_rle(one_shape(tmp_path, result), SIZE)
    np.testing.assert_array_equal(rle_to_bitmask(rle), MASK)


def test_closed_vectors_are_polygons_and_open_ones_lines(tmp_path):
    vertices = [{"id": str(i), "x": x, "y": y, "isBezier": False} for i, (x, y) in enumerate(SQUARE)]
    closed = region("vectorlabels", vertices=vertices, closed=True)
    opened = region("vectorlabels", vertices=vertices, closed=False, region_id="r2")
    curved = region("vectorlabels", vertices=[{**v, "isBezier": True} for v in vertices], closed=True, region_id="r3")
    [(_, shape)], found = instances(tmp_path, closed, opened, curved)
    np.testing.assert_allclose(points_of(shape)[2], [20, 12])
    assert list(found) == ["shape_open", "shape_invalid"]
    assert "curves are not read" in found["shape_invalid"][0]


def test_keypoints_are_no_instances(tmp_path):
    read, found = instances(tmp_path, region("keypointlabels", x=50, y=50, width=0.5))
    assert not read and found == {"shape_open": ["region r1 of task 1 (a.png)"]}


# ---- regions


@pytest.mark.parametrize("shape_first", [True, False])
def test_a_shape_and_its_label_may_be_two_results_of_one_id(tmp_path, shape_first):
    shape = region("polygon", points=SQUARE, closed=True)
    labels = region("labels", points=SQUARE, closed=True)
    colour = region("choices", points=SQUARE, closed=True, choices=["red"])
    read, found = instances(tmp_path, *((shape, labels, colour) if shape_first else (colour, labels, shape)))
    assert [category for category, _ in read] == ["car"] and not found


def test_relations_and_answers_about_the_whole_image_are_no_regions(tmp_path):
    relation = {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right"}
    weather = {"type": "choices", "from_name": "weather", "to_name": "img", "id": "w", "value": {"choices": ["sun"]}}
    read, found = instances(tmp_path, relation, weather, polygon())
    assert len(read) == 1 and not found


def test_of_several_labels_the_first_counts_and_that_is_told(tmp_path):
    result = polygon()
    result["value"]["polygonlabels"] = ["dog", "car"]
    read, found = instances(tmp_path, result)
    assert read[0][0] == "dog" and found == {"several_labels": ["region r1 of task 1 (a.png): dog, car"]}


@pytest.mark.parametrize("labels", [[], [" "], None, "car", [None], [["car"]]])
def test_a_region_without_a_label_is_told(tmp_path, labels):
    result = polygon()
    result["value"]["polygonlabels"] = labels
    read, found = instances(tmp_path, result)
    assert not read and list(found) == ["category_missing"]


def test_labels_that_are_numbers_become_text(tmp_path):
    result = polygon()
    result["value"]["polygonlabels"] = [7]
    assert instances(tmp_path, result)[0][0][0] == "7"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (polygon(points=[[1, 1], [2, 2]]), "a polygon needs three points, found 2"),
        (polygon(points=None), "its points are not all pairs"),
        (polygon(points=[[1, 1], [2, 2], [3]]), "its points are not all pairs"),
        (polygon(points=[[1, 1], [2, 2], [float("nan"), 3]]), "its points are not all pairs of finite numbers"),
        (polygon(points=[[1, 1], [2, 2], [10**400, 3]]), "its points are not all pairs of numbers"),
        (polygon(points=[[1, 1], [2, 2], [1e7, 3]]), "of a plausible size"),
        (region("rectanglelabels", x=1, y="?", width=3, height=4), "its points are not all pairs"),
        (region("rectanglelabels", x=1, y=2, width=3, height=4, rotation=[9]), "its points are not all pairs"),
        (region("ellipselabels", x=1, y=2, radiusX=None, radiusY=4), "its points are not all pairs"),
        (region("brushlabels", format="rle", rle=[1, 2, 3]), "brush mask: expected a list of 7 bytes or more"),
        (region("brushlabels", format="png", rle=[]), "brush mask: expected the format rle, found 'png'"),
        (brush(MASK[:10]), "brush mask of 1600 values, expected 4 x 40 x 20"),
        (region("bitmasklabels", imageDataURL="data:image/png;base64,AAAA"), "its mask cannot be decoded"),
        (region("bitmasklabels", imageDataURL=bitmask_address(MASK[:10])), "a mask of 40x10 on 40x20"),
        (region("vectorlabels", vertices=[1], closed=True), "its vertices are not a list of objects"),
        (region("polygonlabels"), "no known shape"),
        ({"type": "polygonlabels", "id": "r1"}, None),
    ],
)
def test_a_region_whose_shape_cannot_be_used_is_told_and_the_others_stay(tmp_path, result, told):
    read, found = instances(tmp_path, {**result, "id": "bad"}, polygon("dog"))
    assert [category for category, _ in read] == ["dog"]
    [name] = found["shape_invalid" if told else "category_missing"]
    assert name.startswith("region bad of task 1 (a.png)") and (told or "") in name


def test_without_a_declared_size_the_image_tells_it(tmp_path):
    result = polygon()
    del result["original_width"], result["original_height"]
    labels, found = read_all(write_export(tmp_path, [task(result)], "a.png"))
    assert (labels.coco["images"][0]["height"], labels.coco["images"][0]["width"]) == SIZE and not found


def test_without_a_declared_size_and_without_the_image_there_are_no_pixels(tmp_path):
    result = polygon(original_width=None)
    content = [task(result, photo="/data/upload/1/lost.png"), task(polygon(), task_id=2)]
    labels, found = read_all(write_export(tmp_path, content, "a.png"))
    assert len(labels.coco["images"]) == 2 and len(labels.coco["annotations"]) == 1
    assert found["shape_invalid"] == ["region r1 of task 1 (lost.png): percent of an image whose size is not known"]


@pytest.mark.parametrize("size", [(0, 40), (-1, 40), ("20", "40"), (1e9, 1e9), (20.5, 40), (float("nan"), 40)])
def test_a_declared_size_that_no_image_has_is_not_believed(tmp_path, size):
    content = [task(polygon(original_height=size[0], original_width=size[1]))]
    labels, _ = read_all(write_export(tmp_path, content, "a.png"))
    assert labels.coco["images"][0]["height"] == SIZE[0]


def test_an_image_turned_by_exif_has_the_size_it_was_shown_in(tmp_path):
    write_picture(tmp_path / "a.jpg", SIZE, orientation=6)
    result = polygon(original_width=None)
    labels, _ = read_all(write_export(tmp_path, [task(result, photo="a.jpg")]))
    assert (labels.coco["images"][0]["height"], labels.coco["images"][0]["width"]) == SIZE[::-1]
