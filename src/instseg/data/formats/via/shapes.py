"""Conversion of the shapes of VIA's regions to polygons and boxes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.text import usable_text
from instseg.core.types import Polygon
from instseg.data.formats.shapes import check_polygon, ellipse, read_points


def polygon_or_box(shape: Mapping[str, object]) -> Polygon | NDArray[np.float64] | None:
    """Convert a shape to a polygon (P, 2) or a box (4,) xyxy, in px; None for open shapes.

    Raises:
        InstsegError: the shape is unknown or invalid.
    """
    match shape.get("name"):
        case "rect":
            corner, size = read_points([[shape.get("x"), shape.get("y")], [shape.get("width"), shape.get("height")]])
            return np.concatenate([np.minimum(corner, corner + size), np.maximum(corner, corner + size)])
        case "circle":
            centre, radii = read_points([[shape.get("cx"), shape.get("cy")], [shape.get("r"), shape.get("r")]])
            return ellipse(centre, (radii[0], radii[1]))
        case "ellipse":
            radii_px, angle = [shape.get("rx"), shape.get("ry")], shape.get("theta", 0)
            centre, radii, turn = read_points([[shape.get("cx"), shape.get("cy")], radii_px, [angle, 0]])
            return ellipse(centre, (radii[0], radii[1]), turn[0])
        case "point" | "line":
            return None
        case "polyline":
            points = _points(shape)
            return check_polygon(points[:-1]) if len(points) > 3 and (points[0] == points[-1]).all() else None
        case "polygon":
            return check_polygon(_points(shape))
        case "extreme_rect":
            points = check_polygon(_points(shape))
            return np.concatenate([points.min(axis=0), points.max(axis=0)])
        case "extreme_circle":
            return _circle_through(_points(shape))
    raise InstsegError(f"shape {usable_text(shape.get('name'))[:40]!r} is not known")


def _points(shape: Mapping[str, object]) -> Polygon:
    x, y = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        raise InstsegError("all_points_x and all_points_y are not lists of the same length")
    return read_points(list(zip(x, y, strict=True)))


def _circle_through(points: Polygon) -> Polygon:
    """Return the circle through three points: its centre is equidistant from them."""
    if len(points) != 3:
        raise InstsegError(f"a circle by its edge needs three points, found {len(points)}")
    sides = points[1:] - points[0]
    if abs(np.linalg.det(sides)) < 1e-6:
        raise InstsegError("the three points of a circle lie on a line")
    to_centre = np.linalg.solve(2 * sides, (sides**2).sum(axis=1))
    radius = float(np.hypot(*to_centre))
    return read_points(ellipse(points[0] + to_centre, (radius, radius)))
