"""Corrections of Label Studio's COCO export: repeated images, and polygons of images that EXIF rotates.

The labelling page shows an image upright, but the export scales the percentages of polygons by the size of the file
as stored. Boxes are scaled by the displayed size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from instseg.core.errors import InstsegError
from instseg.core.types import CocoAnnotation, CocoDict, CocoImage
from instseg.data.reading.findings import Findings
from instseg.data.reading.images import ImageHeader, read_image_header
from instseg.data.reading.threads import READING, map_in_threads

T = TypeVar("T")
Scale = tuple[float, float]
"""Factors of x and y."""


def without_repeated(coco: CocoDict, paths: Mapping[str, Path], findings: Findings) -> CocoDict:
    """Keep the first entry of each image: the export has one for each annotator, the latest first.

    Args:
        coco: the export.
        paths: file name -> path of the image.
        findings: gets the repeated entries.
    """
    first: dict[Path, int] = {}
    for image in coco["images"]:
        if first.setdefault(paths[image["file_name"]], image["id"]) != image["id"]:
            findings.add("image_labelled_twice", image["file_name"])
    kept = set(first.values())
    images = [image for image in coco["images"] if image["id"] in kept]
    listed = {image["id"] for image in coco["images"]}
    annotations = [one for one in coco["annotations"] if one["image_id"] in kept or one["image_id"] not in listed]
    return {**coco, "images": images, "annotations": annotations}


def fix_rotated_images(coco: CocoDict, paths: Mapping[str, Path], findings: Findings) -> None:
    """Give images that EXIF rotates by 90 degrees their displayed size, and rescale their polygons to it, in place.

    Args:
        coco: the export; changed in place.
        paths: file name -> path of the image.
        findings: gets the images whose polygons were rescaled.
    """
    scales: dict[int, Scale] = {}
    for image, header in zip(coco["images"], _headers(coco["images"], paths), strict=True):
        if header is None or header.orientation < 5 or (image.get("height"), image.get("width")) != header.size:
            continue
        image["height"], image["width"] = header.displayed_size
        if header.size != header.displayed_size:
            scales[image["id"]] = (header.size[0] / header.size[1], header.size[1] / header.size[0])
    rescaled: set[int] = set()
    for annotation in coco["annotations"]:
        scale = scales.get(annotation["image_id"])
        if scale is not None and _rescale(annotation, scale):
            rescaled.add(annotation["image_id"])
    for image in coco["images"]:
        if image["id"] in rescaled:
            findings.add("exif_unscaled", image["file_name"])


def _headers(images: Sequence[CocoImage], paths: Mapping[str, Path]) -> list[ImageHeader | None]:
    def read(image: CocoImage) -> ImageHeader | None:
        return header_of(paths[image["file_name"]])

    return list(map_in_threads(read, images, READING))


def header_of(path: Path) -> ImageHeader | None:
    """Read the header of an image; None if it is missing or unreadable, which is reported when it is decoded."""
    try:
        return read_image_header(path)
    except InstsegError:
        return None


def _rescale(annotation: CocoAnnotation, scale: Scale) -> bool:
    """Rescale an annotation in place; False if it is not a polygon."""
    parts = annotation.get("segmentation")
    if not isinstance(parts, list) or not parts:
        return False
    annotation["segmentation"] = [_scaled(part, scale) for part in parts]
    if "bbox" in annotation:
        annotation["bbox"] = _scaled(annotation["bbox"], scale)
    return True


def _scaled(numbers: T, scale: Scale) -> T | list[float]:
    """Scale a list x, y, x, y, …; anything else is left for the index to report."""
    try:
        return [number * scale[position % 2] for position, number in enumerate(cast(list[float], numbers))]
    except (TypeError, OverflowError):
        return numbers
