"""The areas of LabelMe's shapes: read as polygons, boxes and masks, and joined to instances."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.box_masks import visible_part
from instseg.core.errors import InstsegError
from instseg.core.masks import box_to_polygon, clip_polygon, polygons_to_box, polygons_to_rle, rle_to_bitmask
from instseg.core.text import plural, usable_text
from instseg.core.types import Bitmask, ImageSize, Polygon
from instseg.data.formats.shapes import check_polygon, ellipse, read_points
from instseg.data.reading.labels import LabelsBuilder
from instseg.data.reading.pixel_limits import check_pixels, size_for_a_mask

POLYGON_KINDS = frozenset({"polygon", "rotation", "oriented_rectangle", "oriented rectangle"})


@dataclass(frozen=True, slots=True)
class Crop:
    """A mask (h, w) of 0 and 1 whose first pixel is pixel (left, top) of the image."""

    bitmask: Bitmask
    left: int
    top: int


Part = NDArray[np.float64] | Crop
"""The area of a shape: a polygon (P, 2), a box (4,) xyxy, or a mask; in px of the image."""


def kind_of(shape: Mapping[str, object]) -> str:
    """Return the ``shape_type``; shapes without one come from version 2 and are polygons."""
    kind = shape.get("shape_type") or "polygon"
    return usable_text(kind) or type(kind).__name__


def read_part(shape: Mapping[str, object]) -> Part:
    """Convert one LabelMe shape to a part of an instance.

    A rectangle has two opposite corners or all four.

    Raises:
        InstsegError: the shape is of an unknown type or invalid.
    """
    kind, points = kind_of(shape), read_points(shape.get("points"))
    if kind == "rectangle":
        if len(points) < 2:
            raise InstsegError(f"a rectangle needs two corners, found {len(points)}")
        return np.concatenate([points.min(axis=0), points.max(axis=0)])
    if kind == "circle":
        if len(points) != 2:
            raise InstsegError(
                f"a circle needs its centre and a point on its edge, found {plural(len(points), 'point')}"
            )
        radius = float(np.hypot(*(points[1] - points[0])))
        return ellipse(points[0], (radius, radius))
    if kind == "mask":
        return _read_mask(shape.get("mask"), points)
    if kind not in POLYGON_KINDS:
        raise InstsegError(f"shape_type {kind[:40]!r} is not known")
    return check_polygon(points)


def _read_mask(mask: object, corners: Polygon) -> Crop:
    """Decode a PNG in base64 that lies between two corner pixels, both included."""
    if not isinstance(mask, str) or len(corners) != 2:
        raise InstsegError("a mask needs a PNG in base64 and two corners")
    try:
        with PilImage.open(io.BytesIO(base64.b64decode(mask))) as image:
            check_pixels(*image.size)
            bitmask = (np.asarray(image.convert("L")) > 0).astype(np.uint8)
    except Exception as error:  # the decoder raises nearly anything on a damaged PNG
        raise InstsegError(f"its mask cannot be decoded: {type(error).__name__}") from error
    (left, top), (right, bottom) = np.sort(corners, axis=0).round().astype(int).tolist()
    size, space = bitmask.shape, (bottom - top + 1, right - left + 1)
    if max(abs(size[0] - space[0]), abs(size[1] - space[1])) > 1:  # other tools exclude the last corner
        raise InstsegError(f"its mask of {size[1]}x{size[0]} px lies between corners for {space[1]}x{space[0]}")
    return Crop(bitmask, left, top)


def has_mask(parts: Sequence[Part]) -> bool:
    """Tell whether the instance must be drawn into a bitmap of the image's size."""
    return any(isinstance(part, Crop) for part in parts)


def add_instance(
    builder: LabelsBuilder, image_id: int, category: str, parts: Sequence[Part], image_size: ImageSize | None
) -> None:
    """Add one instance with all its parts.

    Args:
        builder: the labels of the split.
        image_id: from ``builder.add_image``.
        category: its name.
        parts: in px of the image.
        image_size: (height, width) as displayed; None: unknown.

    Raises:
        InstsegError: the size is needed (``has_mask``) and unknown or too large.
    """
    polygons = [polygon_of(part) for part in parts if not isinstance(part, Crop)]
    if has_mask(parts):
        builder.add_bitmask(image_id, category, _union(parts, size_for_a_mask(image_size)))
    elif len(parts) == 1 and isinstance(parts[0], np.ndarray) and parts[0].ndim == 1:
        builder.add_box(image_id, category, polygons_to_box(polygons))
    else:
        builder.add_polygons(image_id, category, polygons)


def _union(parts: Sequence[Part], image_size: ImageSize) -> Bitmask:
    canvas = np.zeros(image_size, np.uint8)
    for part in parts:
        if isinstance(part, Crop):
            _paste(part, canvas)
        elif len(clipped := clip_polygon(polygon_of(part), image_size)):
            canvas |= rle_to_bitmask(polygons_to_rle([clipped], image_size))
    return canvas


def _paste(crop: Crop, canvas: Bitmask) -> None:
    """Draw the part of the crop that lies inside the canvas."""
    inside, left, top = visible_part(crop.bitmask, crop.left, crop.top, canvas.shape)
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside


def polygon_of(part: NDArray[np.float64]) -> Polygon:
    """Return a polygon (P, 2) as it is, and a box (4,) xyxy as its corners (4, 2)."""
    return part if part.ndim == 2 else box_to_polygon(part)
