"""Conversion of LabelMe's shapes to polygons, boxes and masks."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.holes import lies_in
from instseg.core.masks import clip_polygon, polygons_to_box, polygons_to_rle, rle_to_bitmask
from instseg.core.text import plural, usable_text
from instseg.core.types import Bitmask, ImageSize, Polygon
from instseg.data.formats.polygons import check_polygon, ellipse, read_points
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import LabelsBuilder
from instseg.data.reading.pixel_limits import check_pixels, size_for_a_mask

BACKGROUND = "_background_"
NO_CLASS = frozenset({"__ignore__", BACKGROUND})
OPEN_SHAPES = frozenset({"point", "points", "line", "linestrip"})
"""Shapes without an area, which are not instances."""
POLYGON_KINDS = frozenset({"polygon", "rotation", "oriented_rectangle", "oriented rectangle"})


@dataclass(frozen=True, slots=True)
class Crop:
    """A mask (h, w) of 0 and 1 whose first pixel is pixel (left, top) of the image."""

    bitmask: Bitmask
    left: int
    top: int


Part = NDArray[np.float64] | Crop
"""The area of a shape: a polygon (P, 2), a box (4,) xyxy, or a mask; in px of the image."""


@dataclass(slots=True)
class Groups:
    """The group ids of all label files, to see whether they tell instances apart."""

    used: set[object] = field(default_factory=set)
    files: list[str] = field(default_factory=list)  # in which several shapes of a label are joined

    def add(self, shapes: Sequence[object], file: str) -> None:
        """Note the groups of one file.

        Args:
            shapes: the entries of the json's list.
            file: its name.
        """
        groups = [(shape.get("label"), shape.get("group_id")) for shape in shapes if isinstance(shape, Mapping)]
        self.used |= {_plain_group(group) for _, group in groups}
        if len(groups) > len({(str(label), str(group)) for label, group in groups}):
            self.files.append(file)

    def files_joined_for_no_reason(self) -> list[str]:
        """Return the files with joined shapes if every shape of the dataset has the same group."""
        return self.files if len(self.used) == 1 and self.used != {None} else []


def _plain_group(group: object) -> object:
    return group if isinstance(group, int | float | str) else None


def read_instances(
    shapes: Sequence[object], file: str, findings: Findings, joins_groups: bool = True
) -> list[tuple[str, list[Part]]]:
    """Read the instances of one label file: shapes with the same label and group_id are parts of one instance.

    A polygon called ``_background_`` is a hole of the polygons drawn before it that hold all of it.

    Args:
        shapes: the entries of the json's list.
        file: its name, for findings.
        findings: gets the shapes that are left out.
        joins_groups: false to read each shape as an instance.

    Returns:
        Label and parts of each instance.
    """
    found = read_drawn(shapes, file, findings, joins_groups)
    return [(one.label, one.parts) for one in found]


@dataclass(slots=True)
class Drawn:
    """An instance, and the places of its shapes in the json's list."""

    label: str
    parts: list[Part] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def read_drawn(shapes: Sequence[object], file: str, findings: Findings, joins_groups: bool = True) -> list[Drawn]:
    """Read the instances of one label file with the places of their shapes, as ``read_instances`` does.

    Args:
        shapes: the entries of the json's list.
        file: its name, for findings.
        findings: gets the shapes that are left out.
        joins_groups: false to read each shape as an instance.
    """
    instances: dict[object, Drawn] = {}
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict):
            found = type(shape).__name__
            findings.add("shape_invalid", f"{file}: shape {number}: expected an object, found {found}")
        elif shape.get("label") == BACKGROUND and _add_hole(shape, number - 1, instances.values()):
            continue
        elif (part := _read_labelled_part(shape, f"{file}: shape {number}", findings)) is not None:
            label, group = _label(shape.get("label")), shape.get("group_id")
            key = (label, group) if joins_groups and _plain_group(group) is not None else number
            drawn = instances.setdefault(key, Drawn(label))
            drawn.parts.append(part)
            drawn.places.append(number - 1)
    return list(instances.values())


def _add_hole(shape: Mapping[str, object], place: int, instances: Iterable[Drawn]) -> bool:
    """Add a polygon to the instances that it is a hole of; false where there is none."""
    try:
        hole = read_part(shape)
    except InstsegError:
        return False
    if isinstance(hole, Crop):
        return False
    ring, around = _polygon_of(hole), []
    for drawn in instances:
        outer = [_polygon_of(part) for part in drawn.parts if not isinstance(part, Crop)]
        if not has_mask(drawn.parts) and any(lies_in(ring, polygon) for polygon in outer):
            around.append(drawn)
    for drawn in around:
        drawn.parts.append(ring)
        drawn.places.append(place)
    return bool(around)


def _read_labelled_part(shape: Mapping[str, object], where: str, findings: Findings) -> Part | None:
    """Read a shape that is part of an instance; None, with a finding, for any other."""
    if not (label := _label(shape.get("label"))):
        findings.add("category_missing", where)
    elif label in NO_CLASS:
        findings.add("category_ignored", where)
    elif _kind(shape) in OPEN_SHAPES:
        findings.add("shape_open", f"{where} ({_kind(shape)})")
    else:
        try:
            return read_part(shape)
        except InstsegError as error:
            findings.add("shape_invalid", f"{where}: {error}")
    return None


def _label(label: object) -> str:
    """Return a label as text; whole numbers are converted, anything else is empty."""
    text = usable_text(str(label) if type(label) is int else label)
    return text if text.strip() else ""


def _kind(shape: Mapping[str, object]) -> str:
    kind = shape.get("shape_type") or "polygon"
    return usable_text(kind) or type(kind).__name__


def read_part(shape: Mapping[str, object]) -> Part:
    """Convert one LabelMe shape to a part of an instance.

    A rectangle has two opposite corners or all four. Shapes without a type come from version 2 and are polygons.

    Raises:
        InstsegError: the shape is of an unknown type or invalid.
    """
    kind, points = _kind(shape), read_points(shape.get("points"))
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
    polygons = [_polygon_of(part) for part in parts if not isinstance(part, Crop)]
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
        elif len(clipped := clip_polygon(_polygon_of(part), image_size)):
            canvas |= rle_to_bitmask(polygons_to_rle([clipped], image_size))
    return canvas


def _paste(crop: Crop, canvas: Bitmask) -> None:
    """Draw the part of the crop that lies inside the canvas."""
    height, width = canvas.shape
    top, left = max(crop.top, 0), max(crop.left, 0)
    inside = crop.bitmask[top - crop.top : max(height - crop.top, 0), left - crop.left : max(width - crop.left, 0)]
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside


def _polygon_of(part: NDArray[np.float64]) -> Polygon:
    if part.ndim == 2:
        return part
    x1, y1, x2, y2 = part
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
