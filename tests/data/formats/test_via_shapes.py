"""Conversion of VIA's regions to polygons and boxes; open shapes are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instseg.core.errors import InstsegError
from instseg.core.masks import polygon_area
from instseg.data.formats.via.shapes import polygon_or_box

CENTRE = (8, 6)


def points(*xy: tuple[Any, Any], name: str = "polygon") -> dict[str, Any]:
    return {"name": name, "all_points_x": [x for x, _ in xy], "all_points_y": [y for _, y in xy]}


def distances(polygon: Any) -> Any:
    return np.hypot(*(polygon - CENTRE).T)


def test_a_polygon_has_its_points():
    assert polygon_or_box(points((2, 2), (9, 2), (9, 9))).tolist() == [[2, 2], [9, 2], [9, 9]]


@pytest.mark.parametrize("size", [(6, 5), ("6", "5.0")])
def test_a_rect_is_a_box_and_its_numbers_may_be_text(size):
    assert polygon_or_box({"name": "rect", "x": 3, "y": 4, "width": size[0], "height": size[1]}).tolist() == [
        3,
        4,
        9,
        9,
    ]


def test_a_rect_drawn_backwards_is_the_same_box():
    assert polygon_or_box({"name": "rect", "x": 9, "y": 9, "width": -6, "height": -5}).tolist() == [3, 4, 9, 9]


def test_a_circle_has_its_radius_and_nearly_its_area():
    polygon = polygon_or_box({"name": "circle", "cx": 8, "cy": 6, "r": 3})
    assert np.allclose(distances(polygon), 3)
    assert polygon_area(polygon) == pytest.approx(np.pi * 9, rel=1e-3)


def test_an_ellipse_is_turned_by_radians_from_x_towards_y():
    flat = {"name": "ellipse", "cx": 8, "cy": 6, "rx": 5, "ry": 2}
    upright, turned = polygon_or_box(flat), polygon_or_box({**flat, "theta": np.pi / 6})
    tip = turned[distances(turned).argmax()] - CENTRE
    assert np.abs(upright - CENTRE).max(axis=0) == pytest.approx([5, 2], abs=0.01)
    assert np.abs(tip) == pytest.approx([5 * np.cos(np.pi / 6), 2.5], abs=0.01)
    assert np.prod(tip) > 0, "down to the right, or up to the left: y points down"
    assert polygon_area(turned) == pytest.approx(np.pi * 10, rel=1e-3)


def test_a_box_by_four_points_on_its_edges_and_a_circle_by_three():
    assert polygon_or_box(points((3, 6), (5, 4), (9, 7), (6, 9), name="extreme_rect")).tolist() == [3, 4, 9, 9]
    assert np.allclose(distances(polygon_or_box(points((13, 6), (8, 11), (3, 6), name="extreme_circle"))), 5)


def test_a_polyline_is_a_polygon_when_it_is_closed():
    closed = points((2, 2), (9, 2), (9, 9), (2, 2), name="polyline")
    assert polygon_or_box(closed).tolist() == [[2, 2], [9, 2], [9, 9]]


@pytest.mark.parametrize(
    "shape",
    [
        *({"name": "point", "cx": 1, "cy": 1}, points((1, 1), (2, 2), name="line")),
        *(points((2, 2), (9, 2), (9, 9), name="polyline"), points((2, 2), (9, 2), (2, 2), name="polyline")),
    ],
)
def test_points_and_open_lines_are_no_instances(shape):
    assert polygon_or_box(shape) is None


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (points((2, 2), (9, 2)), "needs three points, found 2"),
        (points((2, 2), (9, 2), (9, float("nan"))), "finite numbers"),
        (points((2, 2), (9, 2), (9, 1e300)), "of a plausible size"),
        (points((2, 2), (9, 2), (9, "x")), "not all pairs of numbers"),
        (points((2, 2), (9, 2), (9, 10**400)), "not all pairs of numbers"),
        ({**points((2, 2), (9, 2), (9, 9)), "all_points_x": [1, 2]}, "not lists of the same length"),
        ({"name": "polygon", "all_points_x": "abc", "all_points_y": "abc"}, "not lists of the same length"),
        ({"name": "rect", "x": 1, "y": 1, "width": 5}, "finite numbers"),
        ({"name": "ellipse", "cx": 1, "cy": 1, "rx": 5, "ry": 5, "theta": "x"}, "not all pairs of numbers"),
        (points((1, 1), (2, 2), (3, 3), name="extreme_circle"), "lie on a line"),
        (points((1, 1), (2, 2), name="extreme_circle"), "needs three points, found 2"),
        ({"name": ["rect"]}, "shape '' is not known"),
        ({"name": "blob"}, "shape 'blob' is not known"),
        ({}, "shape '' is not known"),
    ],
)
def test_what_is_no_shape_is_refused_with_the_reason(shape, told):
    with pytest.raises(InstsegError, match=told):
        polygon_or_box(shape)
