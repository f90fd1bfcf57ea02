"""The shape of one annotation by the rules of the dataset, compared with its own bbox and area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.holes import cut_holes, holes_of
from instseg.core.masks import box_to_polygon, polygon_area, polygons_to_box, rle_area, rle_to_box
from instseg.core.types import Box, CocoAnnotation, ImageSize, Polygon, Rle
from instseg.data.index.agreement import (
    BOX_FINDINGS,
    annotated_box,
    area_remark,
    box_remark,
    clipped,
    do_agree,
    lone_box_remark,
)
from instseg.data.index.shape_forms import parsed_text, polygon_parts, read_polygon, read_rle
from instseg.data.reading.label_rules import LabelRules

MIN_SIDE_PX = 16
"""Of an image in which coordinates up to 1 are no shape."""

MIN_HOLE_FRACTION = 0.05
"""Of an instance's area; smaller polygons inside are slips."""


class FractionsError(InstsegError):
    """The coordinates look like fractions of the image, not pixels."""


@dataclass(slots=True)
class ReadShape:
    """A shape that has an area inside the image.

    Attributes:
        parts: polygons, even beyond the image, or a bitmap as compressed RLE.
        box: xyxy, cut to the image.
        area: px², as annotated where that is a number.
        is_box: there is no mask, and the shape is the box.
        remarks: kind of finding and what is the matter, for what was repaired or looks odd.
    """

    parts: list[Polygon] | Rle
    box: tuple[float, float, float, float]
    area: float
    is_box: bool
    remarks: list[tuple[str, str]] = field(default_factory=list)


def read_shape(annotation: CocoAnnotation, image_size: ImageSize, rules: LabelRules) -> ReadShape | None:
    """Read one annotation.

    Args:
        annotation: with all its keys.
        image_size: (height, width) px in the frame of the labels.
        rules: options of how it is read.

    Returns:
        None where it has no area inside the image.

    Raises:
        FractionsError: its coordinates look like fractions of the image.
        InstsegError: it has no usable shape, with the reason.
    """
    remarks: list[tuple[str, str]] = []
    box = annotated_box(annotation, image_size, rules)
    parts = _parts_of(annotation, image_size, rules, box, remarks)
    if isinstance(parts, list):
        _check_no_fractions(parts, image_size)
        parts, hole_area = _without_holes(parts, rules, remarks)
        own, area = polygons_to_box(parts), sum(map(polygon_area, parts)) - hole_area
    else:
        own, area = rle_to_box(parts), rle_area(parts)
    inside = clipped(own, image_size)
    if area <= 0 or inside is None:
        return None
    if not annotation.get("iscrowd") and not any(kind == "hole_filled" for kind, _ in remarks):
        remarks += area_remark(annotation, area, box)
    given = inside if box is None else clipped(box, image_size)
    if given is None or not do_agree(given, inside):
        remarks += box_remark(annotation, parts, inside, image_size, rules)
        given = inside
    is_box = any(kind in BOX_FINDINGS.values() for kind, _ in remarks)
    return ReadShape(parts, given, _annotated_area(annotation, area), is_box, remarks)


def _annotated_area(annotation: CocoAnnotation, area: float) -> float:
    given: object = annotation.get("area")
    is_number = isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= 1e12
    return float(given) if is_number and isinstance(given, int | float) else area


def _parts_of(
    annotation: CocoAnnotation,
    image_size: ImageSize,
    rules: LabelRules,
    box: Box | None,
    remarks: list[tuple[str, str]],
) -> list[Polygon] | Rle:
    """Return polygons as they are, bitmaps as compressed RLE, a lone box as a polygon."""
    written = annotation.get("segmentation") or []
    segmentation = parsed_text(written)
    if not isinstance(segmentation, list):
        fits = None if box is None else partial(_fits, clipped(box, image_size))
        rle, is_unusual = read_rle(segmentation, image_size, rules.rle, fits)
    else:
        parts, is_unusual = polygon_parts(segmentation)
    if is_unusual or segmentation is not written:
        remarks.append(("shape_unusual", ""))
    if not isinstance(segmentation, list):
        return rle
    if parts:
        return _polygons_of(parts, image_size, rules, remarks)
    remarks += lone_box_remark(annotation, image_size, rules)
    return [_polygon_of_box(box)]


def _fits(box: tuple[float, float, float, float] | None, rle: Rle) -> bool:
    height, width = rle["size"]
    own = clipped(rle_to_box(rle), (height, width))
    return box is not None and own is not None and do_agree(box, own)


def _polygons_of(
    parts: Sequence[object], image_size: ImageSize, rules: LabelRules, remarks: list[tuple[str, str]]
) -> list[Polygon]:
    polygons = [_by_rules(read_polygon(part), image_size, rules) for part in parts]
    usable = [polygon for polygon in polygons if len(polygon) >= 3]
    if not usable:
        raise InstsegError("every polygon has fewer than three points")
    if len(usable) < len(polygons):
        remarks.append(("part_degenerate", ""))
    return usable


def _by_rules(polygon: Polygon, image_size: ImageSize, rules: LabelRules) -> Polygon:
    ordered = polygon[:, ::-1] if rules.polygons == "yx" else polygon
    return ordered * np.array(image_size[::-1], dtype=np.float64) if rules.coordinates == "fractions" else ordered


def _polygon_of_box(box: Box | None) -> Polygon:
    if box is None:
        raise InstsegError("neither segmentation nor bbox")
    return box_to_polygon(box)


def _check_no_fractions(parts: Sequence[Polygon], image_size: ImageSize) -> None:
    """Require pixels. Shapes of one pixel at the corner of an image have whole coordinates."""
    if min(image_size) < MIN_SIDE_PX:
        return
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    if low >= 0 and high <= 1 and any((part != np.floor(part)).any() for part in parts):
        raise FractionsError("dataset.coordinates=fractions reads them so")


def _without_holes(
    parts: list[Polygon], rules: LabelRules, remarks: list[tuple[str, str]]
) -> tuple[list[Polygon], float]:
    """Return the parts, and the area that is in two of them."""
    holes = holes_of(parts)
    if not holes:
        return parts, 0.0
    if rules.holes == "cut":
        return cut_holes(parts, holes), 0.0
    hole_area = sum(polygon_area(parts[hole]) for hole in holes)
    whole = sum(polygon_area(part) for n, part in enumerate(parts) if n not in holes)
    if hole_area < MIN_HOLE_FRACTION * whole:
        return parts, hole_area
    remarks.append(("hole_filled", f"{hole_area:,.0f} of {whole:,.0f} px, which dataset.holes=cut takes out"))
    return parts, hole_area
