"""Conversion of Darwin's annotations to polygons, boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.holes import cut_holes, holes_of
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.formats.mask_values import rles_of_values
from instseg.data.formats.plain_json import as_list, as_number, as_object, box_of_xywh
from instseg.data.formats.shapes import Shape, check_polygon, ellipse, read_points
from instseg.data.reading.pixel_limits import room_for, size_for_a_mask

OPEN_SHAPES = ("line", "keypoint", "skeleton", "simple_table", "eye", "link", "graph")


def read_shape(entry: Mapping[str, object]) -> Shape | None:
    """Convert one annotation; None for an open shape.

    Raises:
        InstsegError: it is of an unknown kind, or impossible.
    """
    if "polygon" in entry or "complex_polygon" in entry:
        polygon = as_object(entry.get("polygon") or entry.get("complex_polygon"))
        paths = as_list(polygon.get("paths") or [polygon.get("path")])
        if paths and isinstance(paths[0], dict):
            paths = [paths]
        parts = [check_polygon(_points(path)) for path in paths]
        return cut_holes(parts, holes_of(parts))
    if "ellipse" in entry:
        found = as_object(entry["ellipse"])
        centre, radius = _points([found.get("center"), found.get("radius")])
        return [ellipse(centre, (radius[0], radius[1]), as_number(found.get("angle") or 0))]
    if "bounding_box" in entry:
        box = as_object(entry["bounding_box"])
        return box_of_xywh(box.get("x"), box.get("y"), box.get("w"), box.get("h"))
    if any(kind in entry for kind in OPEN_SHAPES):
        return None
    raise InstsegError("none of polygon, bounding_box, ellipse and mask")


def _points(path: object) -> Polygon:
    return read_points([[as_object(point).get("x"), as_object(point).get("y")] for point in as_list(path)])


def raster_masks(entries: Sequence[Mapping[str, object]], image_size: ImageSize | None) -> dict[str, Rle]:
    """Decode the raster layer of an image: value and number of pixels in turn, row by row.

    Args:
        entries: all annotations of the image.
        image_size: (height, width) px.

    Returns:
        Id of an annotation -> its mask.

    Raises:
        InstsegError: the layer is damaged, or the size of the image is not known.
    """
    layer = next((as_object(entry["raster_layer"]) for entry in entries if "raster_layer" in entry), None)
    if layer is None:
        return {}
    image_size = size_for_a_mask(image_size)
    numbers = [int(as_number(number)) for number in as_list(layer.get("dense_rle"))]
    values, runs = np.array(numbers[::2], dtype=np.int64), np.array(numbers[1::2], dtype=np.int64)
    if len(values) != len(runs) or (runs < 0).any() or (values < 0).any() or runs.sum() != np.prod(image_size):
        raise InstsegError(f"dense_rle must add up to {image_size[1]}x{image_size[0]} px")
    with room_for(*image_size):
        rles = rles_of_values(np.repeat(values.astype(np.int32), runs).reshape(image_size))
    mapping = as_object(layer.get("mask_annotation_ids_mapping"))
    named = {annotation: value for annotation, value in mapping.items() if type(value) is int}
    return {annotation: rles[value] for annotation, value in named.items() if value in rles}
