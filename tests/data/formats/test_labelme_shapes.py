"""Conversion of LabelMe's shapes to polygons, boxes, masks and parts of instances, and the reasons for refusals."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import drawn, write_json, write_picture
from labelme_files import SIZE, TRIANGLE, png, shape, write_labels
from reading import instances, read_labels

from instseg.core.masks import polygon_area, rle_to_bitmask, segmentation_to_rle
from instseg.data.formats.groups import Groups
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.labelme.shapes import read_instances
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels


def read(root: Path, **options: Any) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(LabelmeReader(root, **options))


def only(root: Path) -> Any:
    """What the only instance of the only image covers."""
    ((instance,),) = instances(read(root)[0]["all"]).values()
    return instance[1]


def bitmap(segmentation: Any) -> np.ndarray:
    return rle_to_bitmask(segmentation_to_rle(segmentation, tuple(segmentation["size"])))


def test_a_polygon_keeps_its_points_also_those_outside_of_the_image(tmp_path):
    write_labels(tmp_path, "a", shape(points=[[-3.5, 2], [9, 2], [9, 40]]))
    labels, findings = read(tmp_path)
    assert instances(labels["all"]) == {"a.png": [("car", [[-3.5, 2, 9, 2, 9, 40]])]}
    assert (labels["all"].coco["images"][0]["height"], labels["all"].coco["images"][0]["width"]) == SIZE
    assert findings == {}


@pytest.mark.parametrize(
    "points", [[[3, 4], [9, 10]], [[9, 10], [3, 4]], [[9, 4], [3, 10]], [[3, 4], [9, 4], [9, 10], [3, 10]]]
)
def test_a_rectangle_is_a_box_from_whichever_corner_it_was_drawn(tmp_path, points):
    write_labels(tmp_path, "a", shape(points=points, shape_type="rectangle"))
    assert only(tmp_path) == [3, 4, 6, 6]


def test_a_circle_is_its_centre_and_a_point_of_its_edge(tmp_path):
    write_labels(tmp_path, "a", shape(points=[[8, 6], [11, 10]], shape_type="circle"))
    polygon = np.reshape(only(tmp_path)[0], (-1, 2))
    assert np.allclose(np.hypot(*(polygon - (8, 6)).T), 5)
    assert polygon_area(polygon) == pytest.approx(np.pi * 25, rel=1e-3)


@pytest.mark.parametrize("shape_type", ["rotation", "oriented_rectangle", "oriented rectangle", None])
def test_turned_rectangles_and_shapes_without_a_type_are_polygons(tmp_path, shape_type):
    points = [[5, 1], [9, 5], [5, 9], [1, 5]]
    write_labels(tmp_path, "a", shape(points=points, shape_type=shape_type))
    assert only(tmp_path) == [[5, 1, 9, 5, 5, 9, 1, 5]]


def test_a_mask_lies_between_its_corner_pixels(tmp_path):
    small = drawn(".#.", "###")
    write_labels(tmp_path, "a", shape(points=[[4, 3], [6, 4]], shape_type="mask", mask=png(small)))
    expected = np.zeros(SIZE, np.uint8)
    expected[3:5, 4:7] = small
    assert (bitmap(only(tmp_path)) == expected).all()


def test_a_mask_that_reaches_out_of_the_image_is_cut(tmp_path):
    write_labels(tmp_path, "a", shape(points=[[-1, -1], [1, 0]], shape_type="mask", mask=png(np.ones((2, 3)))))
    assert np.argwhere(bitmap(only(tmp_path))).tolist() == [[0, 0], [0, 1]]


def test_without_a_declared_size_a_mask_takes_that_of_the_image_as_it_is_displayed(tmp_path):
    mask = shape(points=[[0, 0], [1, 0]], shape_type="mask", mask=png(np.ones((1, 2))))
    write_labels(tmp_path, "a", mask, imageHeight=None, photo=None)
    write_picture(tmp_path / "a.jpg", SIZE, orientation=6)
    labels, _ = read(tmp_path)
    assert labels["all"].coco["images"][0] == {"id": 1, "file_name": "a.jpg", "height": SIZE[1], "width": SIZE[0]}


def test_shapes_of_one_label_and_one_group_are_one_instance(tmp_path):
    other = [[0, 0], [1, 0], [1, 1]]
    write_labels(
        tmp_path,
        "a",
        *(shape(group_id=1), shape(points=other, group_id=1), shape(group_id=2)),
        *(shape("dog", group_id=1), shape("dog"), shape("dog")),
    )
    labels, _ = read(tmp_path)
    assert Counter(name for name, _ in instances(labels["all"])["a.png"]) == {"car": 2, "dog": 3}
    assert instances(labels["all"])["a.png"][0] == ("car", [[2, 2, 9, 2, 9, 9], [0, 0, 1, 0, 1, 1]])


def test_a_group_with_a_mask_in_it_becomes_one_bitmap_of_all_parts(tmp_path):
    mask = shape(points=[[0, 0], [1, 1]], shape_type="mask", mask=png(np.ones((2, 2))), group_id=7)
    write_labels(tmp_path, "a", mask, shape(points=[[8, 4], [14, 20]], shape_type="rectangle", group_id=7))
    expected = np.zeros(SIZE, np.uint8)
    expected[:2, :2] = expected[4:12, 8:14] = 1
    assert (bitmap(only(tmp_path)) == expected).all()


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (shape("__ignore__"), "category_ignored"),
        (shape("_background_"), "category_ignored"),
        *[
            (shape(points=[[1, 1]], shape_type=open_shape), "shape_open")
            for open_shape in ("point", "line", "linestrip")
        ],
        *[(shape(label), "category_missing") for label in (None, "", " ", ["car"], True, "\ud800")],
        *[(shape(points=points), "shape_invalid") for points in ([[1, 2], [3, 4]], [], None, "abc", [[1, 2, 3]] * 3)],
        *[(shape(points=[[1, 2], [3, 4], [5, x]]), "shape_invalid") for x in (float("nan"), 1e300, None, "x", {})],
        (shape(shape_type="spline"), "shape_invalid"),
        (shape(shape_type=["polygon"]), "shape_invalid"),
        (shape(points=[[1, 1]], shape_type="rectangle"), "shape_invalid"),
        (shape(shape_type="circle"), "shape_invalid"),
        (shape(shape_type="mask", mask="no png", points=[[1, 1], [2, 2]]), "shape_invalid"),
        (shape(shape_type="mask", mask=png(np.ones((9, 9))), points=[[1, 1], [2, 2]]), "shape_invalid"),
        ("polygon", "shape_invalid"),
    ],
)
def test_what_is_no_instance_is_counted_and_named_and_the_others_stay(tmp_path, wrong, kind):
    write_labels(tmp_path, "a", wrong, shape("dog"))
    labels, findings = read(tmp_path)
    assert [name for name, _ in instances(labels["all"])["a.png"]] == ["dog"]
    assert list(findings) == [kind] and findings[kind][0].startswith("a.json: shape 1")


def test_numbers_written_as_text_are_read_and_labels_that_are_numbers_become_text(tmp_path):
    write_labels(tmp_path, "a", shape(1, points=[["2", "2"], ["9.5", "2"], [9, 9]]), shape("1"))
    assert [name for name, _ in instances(read(tmp_path)[0]["all"])["a.png"]] == ["1", "1"]


def test_the_old_schema_has_no_version_type_or_size(tmp_path):
    old = {"label": "2", "points": TRIANGLE, "line_color": None, "fill_color": None}
    content = {"flags": {}, "shapes": [old], "lineColor": [0, 255, 0, 128], "imagePath": "..\\pic\\7.png"}
    write_json(tmp_path / "json/7.json", content)
    write_picture(tmp_path / "pic/7.png", SIZE)
    labels, findings = read(tmp_path)
    assert labels["all"].coco["images"] == [{"id": 1, "file_name": "pic/7.png"}]
    assert [a["segmentation"] for a in labels["all"].coco["annotations"]] == [[[2, 2, 9, 2, 9, 9]]]
    assert findings == {}


SQUARE, INSIDE = ([[a, a], [b, a], [b, b], [a, b]] for a, b in ((1, 11), (3, 9)))


def test_a_background_within_a_polygon_drawn_before_is_a_hole_of_it():
    findings = Findings()
    shapes = [shape("donut", SQUARE), shape("_background_", INSIDE), shape("plate", SQUARE)]
    donut, plate = read_instances(shapes, "a.json", findings)
    assert (donut.label, plate.label) == ("donut", "plate") and len(plate.parts) == 1
    assert [part.tolist() for part in donut.parts] == [SQUARE, INSIDE] and not findings.names


def test_a_background_beside_all_polygons_is_left_out():
    findings = Findings()
    shapes = [shape("donut", INSIDE), shape("_background_", SQUARE)]
    assert len(read_instances(shapes, "a.json", findings)) == 1 and "category_ignored" in findings.names


@pytest.mark.parametrize(
    ("shapes", "is_told"),
    [
        ([("car", 0), ("car", 0)], True),
        ([("car", "0"), ("car", "0"), ("dog", "0")], True),
        ([("car", 0), ("car", 0), ("dog", 1)], True),  # the number of the label
        ([("car", 0), ("car", 1), ("car", 1)], False),
        ([("car", None), ("car", None)], False),
        ([("car", 0), ("car", 0), ("dog", None)], False),
    ],
)
def test_groups_that_are_the_same_for_all_shapes_of_a_label_join_for_no_reason(shapes, is_told):
    seen = Groups()
    seen.add(shapes, "a")
    assert seen.joined_for_no_reason() == []  # of one image alone it cannot be told
    seen.add(shapes[:1], "b")
    assert seen.joined_for_no_reason() == (["a"] if is_told else [])


def test_shapes_whose_groups_are_ignored_are_instances_each():
    ignored = read_instances([shape(group_id=0), shape(group_id=0)], "a", Findings(), joins_groups=False)
    assert len(ignored) == 2
