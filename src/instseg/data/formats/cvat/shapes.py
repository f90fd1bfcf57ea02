"""Conversion of CVAT's shapes to polygons, boxes and masks."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from instseg.core.box_masks import crop_to_rle
from instseg.core.errors import InstsegError
from instseg.core.masks import box_to_polygon
from instseg.core.types import ImageSize
from instseg.data.formats.plain_json import as_number
from instseg.data.formats.shapes import Shape, check_polygon, ellipse, read_points, rotated
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
        box = np.array([as_number(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")])
        if not angle:
            return np.sort(box.reshape(2, 2), axis=0).reshape(4)
        corners = box_to_polygon(box)
        return [rotated(corners, corners.mean(axis=0), angle)]
    if shape.tag == "ellipse":
        centre = np.array([as_number(shape.get("cx")), as_number(shape.get("cy"))])
        return [ellipse(centre, (as_number(shape.get("rx")), as_number(shape.get("ry"))), angle)]
    return _mask(shape, image_size)


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
    with room_for(width, height):
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        return crop_to_rle(inside, left, top, image_size)
