"""Conversion of CVAT's shapes to polygons, boxes and masks."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from instseg.core.box_masks import crop_to_rle
from instseg.core.errors import InstsegError
from instseg.core.types import ImageSize, Polygon
from instseg.data.formats.plain_json import as_number
from instseg.data.formats.polygons import Shape, check_polygon, ellipse, read_points
from instseg.data.reading.pixel_limits import check_pixels, room_for, size_for_a_mask

SHAPES, OPEN_SHAPES = ("polygon", "box", "ellipse", "mask"), ("polyline", "points", "cuboid", "skeleton")


def read_shape(shape: Element, image_size: ImageSize | None) -> Shape:
    """Convert one element.

    Args:
        shape: with a tag of ``SHAPES``.
        image_size: (height, width) px, which masks need.

    Raises:
        InstsegError: a number is missing or impossible.
    """
    angle = math.radians(as_number(shape.get("rotation") or 0))
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";") if pair.strip()]
        return [check_polygon(read_points(pairs))]
    if shape.tag == "box":
        x1, y1, x2, y2 = (as_number(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr"))
        if not angle:
            return np.sort(np.array([[x1, y1], [x2, y2]]), axis=0).reshape(4)
        return [_turned(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]), angle)]
    if shape.tag == "ellipse":
        centre = np.array([as_number(shape.get("cx")), as_number(shape.get("cy"))])
        return [ellipse(centre, (as_number(shape.get("rx")), as_number(shape.get("ry"))), angle)]
    return _mask(shape, image_size)


def _turned(points: Polygon, angle: float) -> Polygon:
    """Rotate about the centre, clockwise on the screen."""
    centre, (cos, sin) = points.mean(axis=0), (math.cos(angle), math.sin(angle))
    turned: Polygon = (points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return turned


def _mask(shape: Element, image_size: ImageSize | None) -> Shape:
    """Decode a mask: run lengths row by row within its box, outside first."""
    image_size = size_for_a_mask(image_size)
    left, top, width, height = (int(as_number(shape.get(key))) for key in ("left", "top", "width", "height"))
    runs = np.array([as_number(run) for run in (shape.get("rle") or "").split(",")]).astype(np.int64)
    check_pixels(width, height)
    if min(width, height) < 1 or (runs < 0).any():
        raise InstsegError(f"a mask of {width}x{height} px with {len(runs)} runs is not possible")
    if runs.sum() != width * height:
        raise InstsegError(f"the runs of a mask must add up to {width}x{height}, found {runs.sum()}")
    x, y = max(left, 0), max(top, 0)
    with room_for(width, height):
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        inside = inside[y - top : max(image_size[0] - top, 0), x - left : max(image_size[1] - left, 0)]
        return crop_to_rle(inside, x, y, image_size)
