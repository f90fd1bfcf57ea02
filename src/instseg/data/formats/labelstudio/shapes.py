"""Conversion of the regions of a Label Studio annotation to instances: polygons, boxes, ellipses, brushes, bitmasks.

A region may be spread over several results with one id: its shape, its label, and answers to questions about it.
Coordinates are percentages of the image as displayed; rotating the view (``image_rotation``) does not change them.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.text import usable_text
from instseg.core.types import Bitmask, ImageSize, Polygon
from instseg.data.formats.labelstudio.brush_rle import decode_brush_rle
from instseg.data.formats.shapes import check_polygon, ellipse, read_points
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import LabelsBuilder

Value = Mapping[str, object]
"""The ``value`` of a result, as parsed from json."""


@dataclass(slots=True)
class Region:
    """One region of an annotation; ``shape`` is None if no result has its coordinates."""

    name: str
    shape: Value | None = None
    labels: list[str] = field(default_factory=list)
    is_labelled: bool = False


def read_regions(results: Iterable[object]) -> list[Region]:
    """Collect the regions in the order of the results; relations and answers about the whole image are skipped."""
    regions: dict[object, Region] = {}
    for position, result in enumerate(results, start=1):
        if not isinstance(result, dict) or result.get("type") == "relation":
            continue
        value, region_id = result.get("value"), result.get("id")
        known = isinstance(region_id, str | int)
        key = region_id if known else object()
        region = regions.setdefault(key, Region(f"region {usable_text(str(region_id)) if known else position}"))
        value = value if isinstance(value, dict) else {}
        if region.shape is None and kind_of(value) is not None:
            region.shape = value
        for name in value:
            if name.endswith("labels"):
                region.is_labelled = True
                region.labels += _texts(value[name])
        region.is_labelled |= str(result.get("type")).endswith("labels")
    return [region for region in regions.values() if region.is_labelled or region.shape is not None]


def _texts(labels: object) -> list[str]:
    listed = labels if isinstance(labels, list) else []
    texts = (usable_text(str(label) if type(label) in (int, float) else label) for label in listed)
    return [text for text in texts if text.strip()]


def add_region(
    builder: LabelsBuilder, image_id: int, region: Region, image_size: ImageSize, name: str, findings: Findings
) -> None:
    """Add one region as an instance, or report why it is left out.

    Args:
        builder: the labels of the split.
        image_id: from ``builder.add_image``.
        region: its shape in percent.
        image_size: (height, width) as displayed.
        name: of the region, for findings.
        findings: gets what is left out or unusual.
    """
    kind = kind_of(region.shape or {})
    if kind in OPEN_KINDS:
        findings.add("shape_open", name)
    elif not region.labels:
        findings.add("category_missing", name)
    elif region.shape is None or kind is None:
        findings.add("shape_invalid", f"{name}: no known shape")
    else:
        try:
            SHAPES[kind](builder, image_id, region.labels[0], region.shape, image_size)
        except InstsegError as error:
            findings.add("shape_invalid", f"{name}: {error}")
            return
        if kind == "box" and builder.annotations[-1]["segmentation"]:  # a rotated one; others are counted later
            findings.add("box_rotated", name)
        if len(set(region.labels)) > 1:
            findings.add("several_labels", f"{name}: {', '.join(region.labels)}")


def kind_of(value: Value) -> str | None:
    """Tell the kind by the keys of the value, because types are named after the tags of the labelling setup."""
    if "vertices" in value:
        return "vector" if value.get("closed") is True else "line"
    for keys, kind in KINDS.items():
        if keys <= value.keys():
            return kind
    return None


def _add_polygon(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    """Add a polygon, closed or not: Label Studio fills open ones too."""
    builder.add_polygons(image_id, label, [check_polygon(_pixels(value["points"], image_size))])


def _add_vector(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    vertices = value["vertices"]
    if not isinstance(vertices, list) or not all(isinstance(vertex, dict) for vertex in vertices):
        raise InstsegError("its vertices are not a list of objects")
    if any(vertex.get("isBezier") for vertex in vertices):
        raise InstsegError("curves are not read: draw it as a polygon or with a brush")
    points = [[vertex.get("x"), vertex.get("y")] for vertex in vertices]
    builder.add_polygons(image_id, label, [check_polygon(_pixels(points, image_size))])


def _add_box(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    """Add a box, rotated about its first corner by degrees from the x axis towards the y axis."""
    (corner, sides), angle = _measures(value, ("x", "y"), ("width", "height"), image_size)
    if angle == 0:
        ends = np.stack([corner, corner + sides])
        builder.add_box(image_id, label, np.concatenate([ends.min(axis=0), ends.max(axis=0)]))
        return
    along = sides[0] * np.array([math.cos(angle), math.sin(angle)])
    across = sides[1] * np.array([-math.sin(angle), math.cos(angle)])
    polygon = np.stack([corner, corner + along, corner + along + across, corner + across])
    builder.add_polygons(image_id, label, [polygon])


def _add_ellipse(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    (centre, radii), angle = _measures(value, ("x", "y"), ("radiusX", "radiusY"), image_size)
    builder.add_polygons(image_id, label, [ellipse(centre, (abs(radii[0]), abs(radii[1])), angle)])


def _add_brush(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    if value.get("format", "rle") != "rle":
        raise InstsegError(f"brush mask: expected the format rle, found {str(value['format'])[:40]!r}")
    builder.add_bitmask(image_id, label, decode_brush_rle(value["rle"], image_size))


def _add_bitmask(builder: LabelsBuilder, image_id: int, label: str, value: Value, image_size: ImageSize) -> None:
    builder.add_bitmask(image_id, label, _decode_data_url(value["imageDataURL"], image_size))


def _decode_data_url(url: object, image_size: ImageSize) -> Bitmask:
    """Decode a PNG ``data:image/png;base64,…`` that is transparent outside the mask."""
    try:
        with PilImage.open(io.BytesIO(base64.b64decode(str(url).partition(",")[2]))) as image:
            if image.size[::-1] != image_size:
                raise InstsegError(f"a mask of {image.size[0]}x{image.size[1]} on {image_size[1]}x{image_size[0]}")
            if "A" not in image.getbands():
                raise InstsegError("a mask without transparency")
            return (np.asarray(image.getchannel("A")) > 0).astype(np.uint8)
    except InstsegError:
        raise
    except Exception as error:  # the decoder raises nearly anything on a damaged PNG
        raise InstsegError(f"its mask cannot be decoded: {type(error).__name__}") from error


def _measures(
    value: Value, place: tuple[str, str], size: tuple[str, str], image_size: ImageSize
) -> tuple[Polygon, float]:
    """Return position and size as two rows x, y in px, and the angle in radians."""
    rows = _pixels([[value.get(key) for key in place], [value.get(key) for key in size]], image_size)
    [[degrees, _]] = read_points([[value.get("rotation") or 0, 0]])
    return rows, math.radians(degrees % 360)


def _pixels(points: object, image_size: ImageSize) -> Polygon:
    """Convert x, y pairs from percent to px (P, 2)."""
    height, width = image_size
    return read_points(read_points(points) * (width, height) / 100)


SHAPES: dict[str, Callable[[LabelsBuilder, int, str, Value, ImageSize], None]] = {
    "polygon": _add_polygon,
    "vector": _add_vector,
    "box": _add_box,
    "ellipse": _add_ellipse,
    "brush": _add_brush,
    "bitmask": _add_bitmask,
}
OPEN_KINDS = ("point", "line")
KINDS = {
    frozenset({"points"}): "polygon",
    frozenset({"rle"}): "brush",
    frozenset({"imageDataURL"}): "bitmask",
    frozenset({"radiusX", "radiusY"}): "ellipse",
    frozenset({"width", "height"}): "box",
    frozenset({"x", "y"}): "point",  # has a width too
}
