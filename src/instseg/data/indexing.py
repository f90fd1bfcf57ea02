"""COCO dictionary -> index, checking every shape on the way.

What cannot be used is left out of the index, never of the record: each case is counted and named in the
findings, which are logged, kept beside the index and copied into the run folder.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.categories import Categories
from instseg.data.findings import Findings
from instseg.data.frames import Photo, labelled_frame
from instseg.data.index_writer import IndexWriter
from instseg.errors import InstsegError
from instseg.masks import polygon_area, polygons_to_box, rle_area, rle_to_box, segmentation_to_rle
from instseg.types import CocoAnnotation, CocoDict, ImageSize, Polygon, Rle


def without_dangling(coco: CocoDict, findings: Findings) -> CocoDict:
    """Without the annotations whose image or category the file does not list."""
    images = {image["id"] for image in coco["images"]}
    categories = {category["id"] for category in coco["categories"]}
    kept = []
    for annotation in coco["annotations"]:
        if annotation["image_id"] not in images:
            findings.add("image_unknown", f"annotation {annotation['id']} (image {annotation['image_id']})")
        elif annotation["category_id"] not in categories:
            findings.add("category_unknown", f"annotation {annotation['id']} (category {annotation['category_id']})")
        else:
            kept.append(annotation)
    return {**coco, "annotations": kept}


def write_index(
    coco: CocoDict,
    photos: Iterable[Photo],
    image_root: Path,
    categories: Categories,
    folder: Path,
    default_upright: bool,
    findings: Findings,
) -> None:
    """Write the index of one split into ``folder`` (must not exist); what was found on the way joins ``findings``."""
    id_to_label = categories.id_to_label(coco["categories"])
    annotations = defaultdict(list)
    for annotation in coco["annotations"]:
        if annotation["category_id"] in id_to_label:
            annotations[annotation["image_id"]].append(annotation)
    writer = IndexWriter()
    for photo in photos:
        frame = labelled_frame(photo, default_upright, findings)
        if frame is None:
            continue
        image_size, upright = frame
        writer.add_image(photo.entry["id"], photo.entry["file_name"], image_size, upright)
        for annotation in annotations[photo.entry["id"]]:
            name = f"annotation {annotation['id']} of {photo.entry['file_name']}"
            label = id_to_label[annotation["category_id"]]
            _add_instance(writer, annotation, label, name, image_size, findings)
    writer.write(folder, image_root, categories)


def _add_instance(
    writer: IndexWriter, annotation: CocoAnnotation, label: int, name: str, image_size: ImageSize, findings: Findings
) -> None:
    try:
        shape = _shape_of(annotation, image_size, name, findings)
    except InstsegError as error:
        findings.add("shape_invalid", f"{name}: {error}")
        return
    if isinstance(shape, list):
        area, box = sum(map(polygon_area, shape)), polygons_to_box(shape)
    else:
        area, box = rle_area(shape), rle_to_box(shape)
    box = _clip_box(box, image_size)
    if area <= 0 or _is_flat(box):
        findings.add("shape_degenerate", name)
        return
    annotated_box = _annotated_box(annotation)
    if annotated_box is not None and not _is_flat(_clip_box(annotated_box, image_size)):
        box = _clip_box(annotated_box, image_size)
    annotated_area: Any = annotation.get("area")
    if _is_number(annotated_area) and annotated_area > 0:
        area = float(annotated_area)
    writer.add_instance(annotation["id"], label, box, area, bool(annotation.get("iscrowd")), shape)


def _shape_of(annotation: CocoAnnotation, image_size: ImageSize, name: str, findings: Findings) -> list[Polygon] | Rle:
    """Polygons as they are (they may reach out of the image), bitmaps as compressed RLE, a lone box as polygon."""
    segmentation = annotation.get("segmentation")
    if segmentation and not isinstance(segmentation, list):
        return segmentation_to_rle(segmentation, image_size)
    parts = [_polygon_of(part) for part in segmentation or [] if part != []]
    if not parts:
        return [_box_polygon(annotation, name, findings)]
    usable = [part for part in parts if len(part) >= 3]
    if not usable:
        raise InstsegError("every polygon has fewer than three points")
    if len(usable) < len(parts):
        findings.add("part_degenerate", name)
    return usable


def _polygon_of(part: Any) -> Polygon:
    try:
        flat = np.asarray(part, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InstsegError(f"a polygon must be a flat list of numbers, found {str(part)[:60]}") from error
    if len(flat) % 2 or not np.isfinite(flat).all():
        raise InstsegError(f"a polygon must be pairs of finite x, y; found {str(part)[:60]}")
    return flat.reshape(-1, 2)


def _box_polygon(annotation: CocoAnnotation, name: str, findings: Findings) -> Polygon:
    box = _annotated_box(annotation)
    if box is None:
        raise InstsegError("neither segmentation nor bbox")
    findings.add("box_only", name)
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _annotated_box(annotation: CocoAnnotation) -> NDArray[np.float64] | None:
    """bbox x, y, width, height -> xyxy; None where there is none of four numbers."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return None
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _clip_box(box: NDArray[np.float64], image_size: ImageSize) -> NDArray[np.float64]:
    height, width = image_size
    return np.clip(box, 0, [width, height, width, height])


def _is_flat(box: NDArray[np.float64]) -> bool:
    return bool((box[2:] <= box[:2]).any())
