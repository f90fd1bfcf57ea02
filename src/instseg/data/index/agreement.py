"""The bbox and the area of an annotation beside its mask: whether they agree, and by which reading they would."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from instseg.core.masks import polygons_to_box, rle_to_box
from instseg.core.types import Box, CocoAnnotation, ImageSize, Polygon, Rle
from instseg.data.index.shape_forms import by_rows, numbers_of
from instseg.data.reading.label_rules import LabelRules

MIN_IOU, SLACK_PX = 0.5, 2.0
"""A bbox agrees with its mask from this IoU on, or where no side is further off."""
LIKELY_IOU = 0.8
"""Of a bbox that is read in another way, to be likely meant so."""
MAX_AREA_DIFFERENCE, AREA_SLACK_PX = 0.25, 16.0

BOX_FINDINGS = {"filled": "box_only", "boxes": "box_taught", "ignore": "box_ignored"}
"""Value of ``dataset.box_only`` -> the finding for an instance that has a box and no mask."""

Corners = tuple[float, float, float, float]
"""xyxy, cut to the image, px."""

READINGS: dict[str, Callable[[float, float, float, float], list[float]]] = {
    "xywh": lambda a, b, c, d: [a, b, a + c, b + d],
    "xyxy": lambda a, b, c, d: [a, b, c, d],
    "yxyx": lambda a, b, c, d: [b, a, d, c],
    "yxhw": lambda a, b, c, d: [b, a, b + d, a + c],
    "cxcywh": lambda a, b, c, d: [a - c / 2, b - d / 2, a + c / 2, b + d / 2],
}
"""Value of ``dataset.bbox`` -> the four numbers as xyxy."""


def annotated_box(annotation: CocoAnnotation, image_size: ImageSize, rules: LabelRules) -> Box | None:
    """Return the bbox as xyxy; None where there is none of four numbers.

    Args:
        annotation: with its bbox.
        image_size: (height, width) px.
        rules: say what the numbers are.
    """
    return _box_by(rules.bbox, annotation, image_size, rules)


def _box_by(reading: str, annotation: CocoAnnotation, image_size: ImageSize, rules: LabelRules) -> Box | None:
    numbers = numbers_of(annotation.get("bbox"), 4)
    if numbers is None or not numbers.any():  # zeros stand for none
        return None
    box: Box = np.array(READINGS[reading](*numbers.tolist()), dtype=np.float64)
    return box * np.array([*image_size[::-1]] * 2, dtype=np.float64) if rules.coordinates == "fractions" else box


def clipped(box: Box, image_size: ImageSize) -> Corners | None:
    """Return the part of a box xyxy inside the image, None where there is none. Plain Python: only four numbers.

    Args:
        box: (4,) px.
        image_size: (height, width) px.
    """
    height, width = image_size
    x1, y1, x2, y2 = box.tolist()
    x1, y1 = min(max(x1, 0.0), width), min(max(y1, 0.0), height)
    x2, y2 = min(max(x2, 0.0), width), min(max(y2, 0.0), height)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def do_agree(one: Corners, other: Corners) -> bool:
    """Tell whether two boxes are the same but for rounding and loose drawing.

    Args:
        one: of an annotation.
        other: of its mask.
    """
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= SLACK_PX or _iou(one, other) >= MIN_IOU


def _iou(one: Corners, other: Corners) -> float:
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (sum(areas) - common)


def box_remark(
    annotation: CocoAnnotation, parts: list[Polygon] | Rle, own: Corners, image_size: ImageSize, rules: LabelRules
) -> list[tuple[str, str]]:
    """Describe a bbox that disagrees with its mask, and the option by which they would agree.

    Args:
        annotation: with its bbox.
        parts: the mask.
        own: its box.
        image_size: (height, width) px.
        rules: by which both were read.
    """
    given = annotated_box(annotation, image_size, rules)
    masks = [option for option, other in _other_masks(parts, image_size, rules) if _fit(given, other, image_size)]
    readings = {
        reading: _box_by(reading, annotation, image_size, rules) for reading in READINGS if reading != rules.bbox
    }
    boxes = [f"dataset.bbox={reading}" for reading, box in readings.items() if _fit(box, np.array(own), image_size)]
    if not masks and not boxes:
        return [("bbox_differs", "")]
    return [("mask_transposed" if masks else "bbox_misread", f"they agree with {' or '.join([*masks, *boxes][:2])}")]


def _fit(box: Box | None, other: Box, image_size: ImageSize) -> bool:
    one, two = (None if corners is None else clipped(corners, image_size) for corners in (box, other))
    return one is not None and two is not None and _iou(one, two) >= LIKELY_IOU


def _other_masks(parts: list[Polygon] | Rle, image_size: ImageSize, rules: LabelRules) -> Iterator[tuple[str, Box]]:
    """Yield options with the box that the mask has under each."""
    if isinstance(parts, list):
        y1, x1, y2, x2 = polygons_to_box(parts)
        scale = image_size[1] / image_size[0] if rules.coordinates == "fractions" else 1.0
        other = "xy" if rules.polygons == "yx" else "yx"
        yield f"dataset.polygons={other}", np.array([x1 * scale, y1 / scale, x2 * scale, y2 / scale])
        return
    if rules.rle == "columns":
        yield "dataset.rle=rows", rle_to_box(by_rows(parts))


def lone_box_remark(annotation: CocoAnnotation, image_size: ImageSize, rules: LabelRules) -> list[tuple[str, str]]:
    """Describe a bbox that stands for its mask, and the option by which it would lie inside the image.

    Args:
        annotation: without segmentation.
        image_size: (height, width) px.
        rules: by which its bbox is read.
    """
    kind = BOX_FINDINGS[rules.box_only]
    if annotation.get("iscrowd") and kind != BOX_FINDINGS["filled"]:
        return []  # a box is as good a region to ignore as a mask
    boxes = {reading: _box_by(reading, annotation, image_size, rules) for reading in READINGS}
    inside = [reading for reading, box in boxes.items() if _is_inside(box, image_size)]
    if rules.bbox == "xywh" and inside[:1] == ["xyxy"]:
        return [(kind, ""), ("box_outside", "inside with dataset.bbox=xyxy")]
    return [(kind, "")]


def _is_inside(box: Box | None, image_size: ImageSize) -> bool:
    limits = np.array([*image_size[::-1]] * 2) + SLACK_PX
    return box is not None and bool((box >= -SLACK_PX).all() and (box <= limits).all() and (box[:2] < box[2:]).all())


def area_remark(annotation: CocoAnnotation, area: float, box: Box | None) -> list[tuple[str, str]]:
    """Describe an annotated area that is not that of the mask.

    Args:
        annotation: with its area.
        area: of the mask, px².
        box: of the annotation, xyxy.
    """
    given = numbers_of([annotation.get("area")], 1)
    if given is None or given[0] <= 0 or abs(given[0] - area) <= max(MAX_AREA_DIFFERENCE * area, AREA_SLACK_PX):
        return []
    of_box = 0.0 if box is None else float(np.prod(box[2:] - box[:2]))
    if abs(given[0] - of_box) <= max(MAX_AREA_DIFFERENCE * of_box, AREA_SLACK_PX):
        return [("area_of_box", "")]
    return [("area_differs", f"{given[0]:,.0f} px instead of {area:,.0f}")]
