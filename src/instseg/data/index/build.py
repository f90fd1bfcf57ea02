"""From a COCO dictionary to the index, checking every shape on the way.

An unusable image or shape is left out of the index, never of the record: each case is counted and named in the
findings, which are logged, kept beside the index and copied into the run folder.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.masks import polygon_area, polygons_to_box, rle_area, rle_to_box, segmentation_to_rle
from instseg.core.types import CocoAnnotation, CocoDict, ImageSize, Polygon, Rle
from instseg.data.index.writer import IndexWriter
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import ListedImage, labelled_frame
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import MAX_COORDINATE_PX, Labels

MAX_NUMBER = MAX_COORDINATE_PX**2
"""Of a box or an area; NaN is not below it, and neither are the integers that no float can hold."""


def note_unlabelled(
    labels: Mapping[str, Labels], label_files: Iterable[Path], findings: Mapping[str, Findings]
) -> None:
    """Add the image files beside the listed ones that no label mentions, unless the reader named such files itself.

    Other folders are not searched: masks, crops and the images of other datasets may lie there.

    Args:
        labels: split -> its labels.
        label_files: files that are no source images.
        findings: split -> where they are noted.
    """
    if any("image_unlabelled" in found.names for found in findings.values()):
        return
    known = {os.path.abspath(file) for file in label_files}  # noqa: PTH100  (Path costs 10 us a file)
    folders: dict[str, tuple[str, str]] = {}
    for split, part in labels.items():
        root = os.path.abspath(part.image_root)  # noqa: PTH100
        for image in part.coco["images"]:
            path = f"{root}/{image['file_name']}"
            known.add(path)
            folders.setdefault(os.path.dirname(path), (split, root))  # noqa: PTH120
    for folder, (split, root) in folders.items():
        for name in _image_files(folder):
            if f"{folder}/{name}" not in known:
                findings[split].add("image_unlabelled", os.path.relpath(f"{folder}/{name}", root))


def _image_files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:  # all of its images are missing, which is told elsewhere
        return []
    return [name for name in names if Path(name).suffix.lower() in IMAGE_EXTENSIONS and not name.startswith(".")]


def write_index(
    coco: CocoDict,
    images: Iterable[ListedImage],
    image_root: Path,
    categories: Categories,
    folder: Path,
    is_upright: Callable[[ListedImage], bool],
    findings: Findings,
) -> None:
    """Write the index of one split.

    Args:
        coco: the labels.
        images: one for each entry, in their order.
        image_root: the folder that file names start from.
        categories: those of the index; annotations of others are left out.
        folder: of the index; must not exist.
        is_upright: see ``decide_frames``.
        findings: where unusable and repaired labels are noted.
    """
    id_to_label = categories.id_to_label(coco["categories"])
    annotations = defaultdict(list)
    for annotation in coco["annotations"]:
        if annotation["category_id"] in id_to_label:
            annotations[annotation["image_id"]].append(annotation)
    with IndexWriter(folder, image_root, categories) as writer:
        for image in images:
            frame = labelled_frame(image, is_upright, findings)
            if frame is None:
                continue
            image_size, upright = frame
            _note_exif(image, upright, findings)
            writer.add_image(image.entry["id"], image.entry["file_name"], image_size, upright)
            for annotation in annotations[image.entry["id"]]:
                name = f"annotation {annotation['id']} of {image.entry['file_name']}"
                label = id_to_label[annotation["category_id"]]
                _add_instance(writer, whole(annotation), label, name, image_size, findings)


def _note_exif(image: ListedImage, upright: bool, findings: Findings) -> None:
    """Note images that are turned, and those whose size leaves the frame open; ``ignores_exif`` names the others."""
    if image.header is not None and image.header.orientation != 1:
        if upright:
            findings.add("exif_applied", image.entry["file_name"])
        if image.labelled_upright is None:
            findings.add("exif_undecided", image.entry["file_name"])


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
    clipped = _clipped(box.tolist(), image_size)
    if area <= 0 or clipped is None:
        findings.add("shape_degenerate", name)
        return
    annotated_box = _annotated_box(annotation)
    clipped = (annotated_box and _clipped(annotated_box, image_size)) or clipped
    annotated_area = annotation.get("area")
    if _is_number(annotated_area) and annotated_area > 0:
        area = float(annotated_area)
    writer.add_instance(annotation["id"], label, clipped, area, bool(annotation.get("iscrowd")), shape)


def _shape_of(annotation: CocoAnnotation, image_size: ImageSize, name: str, findings: Findings) -> list[Polygon] | Rle:
    """Return polygons as they are, even beyond the image, bitmaps as compressed RLE, a lone box as polygon."""
    segmentation = annotation.get("segmentation") or []
    if not isinstance(segmentation, list):
        return _rle_of(segmentation, image_size)
    parts = [_polygon_of(part) for part in segmentation if part != []]
    if not parts:
        return [_box_polygon(annotation, name, findings)]
    usable = [part for part in parts if len(part) >= 3]
    if not usable:
        raise InstsegError("every polygon has fewer than three points")
    if len(usable) < len(parts):
        findings.add("part_degenerate", name)
    return usable


def _rle_of(segmentation: object, image_size: ImageSize) -> Rle:
    try:
        return segmentation_to_rle(segmentation, image_size)
    except (TypeError, ValueError, OverflowError) as error:
        raise InstsegError(f"an RLE must have a size and counts of numbers, found {str(segmentation)[:60]}") from error


def _polygon_of(part: object) -> Polygon:
    try:
        flat = np.asarray(part, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise InstsegError(f"a polygon must be a flat list of numbers, found {str(part)[:60]}") from error
    if len(flat) % 2 or not (np.abs(flat) <= MAX_COORDINATE_PX).all():
        raise InstsegError(f"a polygon must be pairs of x, y below {MAX_COORDINATE_PX:.0e}; found {str(part)[:60]}")
    return flat.reshape(-1, 2)


def _box_polygon(annotation: CocoAnnotation, name: str, findings: Findings) -> Polygon:
    box = _annotated_box(annotation)
    if box is None:
        raise InstsegError("neither segmentation nor bbox")
    findings.add("box_only", name)
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64)


def _annotated_box(annotation: CocoAnnotation) -> list[float] | None:
    """Return the bbox x, y, width, height as xyxy; None where there is none of four numbers."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return None
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) <= MAX_NUMBER


def _clipped(box: list[float], image_size: ImageSize) -> tuple[float, float, float, float] | None:
    """Return the part of a box xyxy inside the image, None where there is none. Plain Python: only four numbers."""
    height, width = image_size
    x1, y1, x2, y2 = box
    x1, y1 = min(max(x1, 0.0), width), min(max(y1, 0.0), height)
    x2, y2 = min(max(x2, 0.0), width), min(max(y2, 0.0), height)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
