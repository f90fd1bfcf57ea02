"""Label Studio's COCO export: whose file names are its own, and whose polygons are amiss on images turned by EXIF.

The labelling page shows an image upright; the export takes the size of the file as it is stored, and scales the
percentages of polygons by that. Boxes are scaled by the size that was shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from instseg.core.errors import InstsegError
from instseg.core.types import CocoDict, CocoImage
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import NUM_THREADS
from instseg.data.reading.images import ImageHeader, read_image_header

Scale = tuple[float, float]
"""What x and y are multiplied by."""


def without_repeated(coco: CocoDict, paths: Mapping[str, Path], findings: Findings) -> CocoDict:
    """Without the second listing of an image: the export lists it for each annotator, the latest first."""
    first: dict[Path, int] = {}
    for image in coco["images"]:
        if first.setdefault(paths[image["file_name"]], image["id"]) != image["id"]:
            findings.add("image_labelled_twice", image["file_name"])
    kept = set(first.values())
    images = [image for image in coco["images"] if image["id"] in kept]
    listed = {image["id"] for image in coco["images"]}
    annotations = [one for one in coco["annotations"] if one["image_id"] in kept or one["image_id"] not in listed]
    return {**coco, "images": images, "annotations": annotations}


def put_right_turned(coco: CocoDict, paths: Mapping[str, Path], findings: Findings) -> None:
    """Give images that EXIF turns by a quarter the size they were shown in, and their polygons that scale."""
    scales: dict[int, Scale] = {}
    for image, header in zip(coco["images"], _headers(coco["images"], paths), strict=True):
        if header is None or header.orientation < 5 or (image.get("height"), image.get("width")) != header.size:
            continue
        image["height"], image["width"] = header.displayed_size
        if header.size != header.displayed_size:
            scales[image["id"]] = (header.size[0] / header.size[1], header.size[1] / header.size[0])
    turned: set[int] = set()
    for annotation in coco["annotations"]:
        scale = scales.get(annotation["image_id"])
        if scale is not None and _rescale(annotation, scale):
            turned.add(annotation["image_id"])
    for image in coco["images"]:
        if image["id"] in turned:
            findings.add("exif_unscaled", image["file_name"])


def _headers(images: Iterable[CocoImage], paths: Mapping[str, Path]) -> list[ImageHeader | None]:
    def read(image: CocoImage) -> ImageHeader | None:
        return header_of(paths[image["file_name"]])

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(read, images))


def header_of(path: Path) -> ImageHeader | None:
    """None for an image that is not there or cannot be read; whoever decodes it says why."""
    try:
        return read_image_header(path)
    except InstsegError:
        return None


def _rescale(annotation: Any, scale: Scale) -> bool:
    """In place; False for what is no polygon."""
    parts = annotation.get("segmentation")
    if not isinstance(parts, list) or not parts:
        return False
    annotation["segmentation"] = [_scaled(part, scale) for part in parts]
    if "bbox" in annotation:
        annotation["bbox"] = _scaled(annotation["bbox"], scale)
    return True


def _scaled(numbers: Any, scale: Scale) -> Any:
    """x, y, x, y, …; anything else is left for the index to tell about."""
    try:
        return [number * scale[position % 2] for position, number in enumerate(numbers)]
    except (TypeError, OverflowError):
        return numbers
