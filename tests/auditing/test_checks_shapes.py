"""Shapes that look like a slip of the hand, each drawn once in a dataset that is otherwise as it should be."""

from __future__ import annotations

import numpy as np
import pytest
from auditing.made import labelled, one_car_each
from factories import drawn, polygon, rectangle, star, uncompressed

from instseg.auditing import crossings
from instseg.auditing.report import Severity

CAR = rectangle(10, 10, 50, 40)


def train_with(*shapes, **more):
    """Ten good images, and one with these shapes."""
    return {"train": labelled(one_car_each("train", 10) | {"odd.png": list(shapes)}, **more)}


def test_a_dataset_that_is_as_it_should_be_has_no_finding_about_its_shapes(audited):
    assert not [finding for finding in audited({}, thorough=True).findings if finding.kind.startswith("shape")]


def test_an_polygon_that_crosses_itself_is_told_by_the_thorough_audit(found):
    splits = train_with(("car", polygon((5, 5), (50, 50), (50, 20), (5, 40))), ("dog", CAR))
    finding = found("shape_crosses_itself", splits, thorough=True)
    assert finding.counts == {"train": 1} and finding.names == ["odd.png"]
    assert finding.spots[0].detail == "1 crossing" and finding.spots[0].annotation_id == 11
    assert found("shape_crosses_itself", splits) is None


def test_polygons_with_too_many_points_to_tell_are_named(found, monkeypatch):
    monkeypatch.setattr(crossings, "MAX_PAIRS", 10)
    finding = found("shape_too_fine", train_with(("car", star(40, 30, 20, 20))), thorough=True)
    assert finding.names == ["odd.png"]


@pytest.mark.parametrize(
    ("shape", "beyond"),
    [
        (rectangle(-7.5, 10, 50, 40), "7.5 px"),
        (rectangle(10, -2, 50, 40), "2 px"),
        (rectangle(10, 10, 91, 40), "11 px"),
        (rectangle(10, 10, 50, 60.5), "0.5 px"),
    ],
)
def test_an_polygon_that_reaches_over_any_border_is_told_with_how_far(found, shape, beyond):
    finding = found("shape_outside_image", train_with(("car", shape)))
    assert finding.count == 1 and finding.spots[0].detail == f"{beyond} outside"


def test_a_point_on_the_border_is_inside(found):
    assert found("shape_outside_image", train_with(("car", rectangle(0, 0, 80, 60)))) is None


def test_the_polygon_that_reaches_furthest_comes_first(found):
    near, far = rectangle(10, 10, 82, 40), rectangle(10, 10, 120, 40)
    images = {"a.png": [("car", near), ("dog", CAR)], "b.png": [("dog", CAR), ("car", far)]}
    finding = found("shape_outside_image", {"train": labelled(images)})
    assert finding.names == ["b.png", "a.png"]
    assert [spot.annotation_id for spot in finding.spots] == [4, 1]


def test_a_pixel_too_far_is_good_to_know_and_more_in_many_images_is_a_warning(found):
    little = found("shape_outside_image", train_with(("car", rectangle(10, 10, 80.9, 40))))
    assert little.severity == Severity.INFO
    assert found("shape_outside_image", train_with(("car", rectangle(10, 10, 100, 40)))).severity == Severity.WARNING


def test_instances_thinner_than_a_pixel_are_told(found):
    finding = found("shape_sub_pixel", train_with(("car", rectangle(10, 10, 10.4, 40)), ("dog", rectangle(0, 0, 1, 1))))
    assert finding.count == 1 and finding.spots[0].detail == "0.4 px thin"


def test_an_instance_that_fills_its_image_is_told(found):
    finding = found("shape_whole_image", train_with(("car", rectangle(0, 1, 80, 60)), ("dog", rectangle(0, 0, 80, 50))))
    assert finding.count == 1 and finding.spots[0].detail == "98% of the image"


def test_the_area_that_the_labels_state_cannot_make_a_small_object_fill_the_image(found):
    assert found("shape_whole_image", train_with(("car", CAR), area=4800.0)) is None


def test_an_instance_that_is_there_twice_is_told_once(found):
    splits = train_with(("car", CAR), ("dog", CAR), ("car", CAR + 0.2), ("car", rectangle(60, 10, 75, 40)))
    finding = found("shape_duplicate", splits, thorough=True)
    assert finding.count == 1 and finding.spots[0].annotation_id == 13


def test_shapes_of_one_box_that_differ_are_no_duplicates(found):
    lower, upper = polygon((10, 10), (50, 40), (10, 40)), polygon((10, 10), (50, 10), (50, 40))
    assert found("shape_duplicate", train_with(("car", lower), ("car", upper)), thorough=True) is None


def test_one_object_in_two_images_is_no_duplicate(found):
    images = {"a.png": [("car", CAR)], "b.png": [("car", CAR)]}
    assert found("shape_duplicate", {"train": labelled(images)}, thorough=True) is None


def test_bitmaps_are_compared_too_but_have_no_polygon_to_cross(found):
    mask = np.kron(drawn("....", ".##.", ".#..", "...."), np.ones((15, 20), dtype=np.uint8))
    splits = train_with(("car", uncompressed(mask)), ("car", uncompressed(mask)))
    assert found("shape_duplicate", splits, thorough=True).count == 1
    assert found("shape_crosses_itself", splits, thorough=True) is None


def test_crowd_regions_are_not_looked_at(found):
    splits = train_with(("car", uncompressed(np.ones((60, 80), dtype=np.uint8))), iscrowd=1)
    splits["train"]["annotations"][0]["iscrowd"] = 0
    assert found("shape_whole_image", splits) is None
