"""Conversion of Supervisely's geometries to polygons, boxes and masks."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image as PilImage

from instseg.core.box_masks import crop_to_rle
from instseg.core.errors import InstsegError
from instseg.core.holes import with_holes
from instseg.core.types import ImageSize
from instseg.data.formats.plain_json import as_list, as_number, as_object
from instseg.data.formats.shapes import Shape, check_polygon, ellipse, read_points
from instseg.data.reading.pixel_limits import check_pixels, room_for, size_for_a_mask

OPEN_SHAPES = ("point", "line", "polyline", "graph", "cuboid")
MAX_PNG_BYTES = 100_000_000


def read_geometry(kind: str, entry: Mapping[str, object], image_size: ImageSize | None) -> Shape:
    """Convert one object.

    Args:
        kind: its ``geometryType``; earlier versions write none for polygons and bitmaps.
        entry: the object.
        image_size: (height, width) px, which bitmaps need.

    Raises:
        InstsegError: the geometry is not known, or impossible.
    """
    if kind == "bitmap" or (not kind and entry.get("bitmap")):
        return _bitmap(as_object(entry.get("bitmap")), image_size)
    points = as_object(entry.get("points"))
    if kind in ("polygon", ""):
        exterior = check_polygon(read_points(points.get("exterior")))
        interiors = [check_polygon(read_points(interior)) for interior in as_list(points.get("interior"))]
        return [with_holes(exterior, interiors) if interiors else exterior]
    if kind == "rectangle":
        corners = read_points(points.get("exterior"))
        if len(corners) < 2:
            raise InstsegError(f"a rectangle needs two corners, found {len(corners)}")
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    if kind == "ellipse":
        (centre,) = read_points([[as_number(v) for v in as_list(entry.get("center"))]])
        rx, ry = (as_number(v) for v in as_list(entry.get("radius"))[:2])
        return [ellipse(centre, (rx, ry))]
    raise InstsegError(f"geometryType {kind[:40]!r} is not known")


def _bitmap(bitmap: Mapping[str, object], image_size: ImageSize | None) -> Shape:
    """Decode a PNG that is compressed by zlib and written in base64, at ``origin`` (x, y)."""
    image_size = size_for_a_mask(image_size)
    origin = as_list(bitmap.get("origin"))
    if len(origin) != 2:
        raise InstsegError("a bitmap needs its origin: x, y")
    left, top = (int(as_number(value)) for value in origin)
    try:
        png = zlib.decompressobj().decompress(base64.b64decode(str(bitmap.get("data"))), MAX_PNG_BYTES)
        with PilImage.open(io.BytesIO(png)) as image, room_for(*image.size):
            check_pixels(*image.size)
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            pixels = np.asarray(image.convert("RGBA"))[..., 3] if has_alpha else np.asarray(image.convert("L"))
    except Exception as error:  # the decoder raises nearly anything on a damaged PNG
        raise InstsegError(f"its bitmap cannot be decoded: {type(error).__name__}") from error
    return crop_to_rle(pixels > 0, left, top, image_size)
