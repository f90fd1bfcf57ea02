"""Images that labels name outside of their dataset: left out, unless the user allows them.

Labels of someone else could name any picture of this machine, which would then be trained on and shown in reports.
Links are followed: no label file can make one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import CocoImage
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels


def without_outside(
    labels: Mapping[str, Labels], root: Path, allowed: Sequence[str], findings: Mapping[str, Findings]
) -> dict[str, Labels]:
    """Return the labels without images that are outside of the dataset.

    Args:
        labels: split -> its labels.
        root: of the labels, for the message.
        allowed: folders, as they are written and without links.
        findings: split -> where the images are noted.

    Raises:
        InstsegError: all of the images are outside.
    """
    kept = {split: _kept(part, allowed, findings[split]) for split, part in labels.items()}
    if any(part.coco["images"] for part in labels.values()) and not any(part.coco["images"] for part in kept.values()):
        first = next(part for part in labels.values() if part.coco["images"])
        example = first.image_root / first.coco["images"][0]["file_name"]
        raise InstsegError(
            f"{root}: its labels name images that are outside of it, such as {os.path.normpath(example)}: give "
            "the folder above both as dataset.root, or read them with dataset.outside=always"
        )
    return kept


def _kept(part: Labels, allowed: Sequence[str], findings: Findings) -> Labels:
    root = os.path.abspath(part.image_root)  # noqa: PTH100
    is_root_inside = _is_inside(root, allowed)
    outside = {
        image["id"]
        for image in part.coco["images"]
        if not (is_root_inside and _stays_below(image)) and not _is_inside(_path(root, image), allowed)
    }
    if not outside:
        return part
    for image in part.coco["images"]:
        if image["id"] in outside:
            findings.add("image_outside", f"{_path(root, image)} (dataset.outside=always)")
    images = [image for image in part.coco["images"] if image["id"] not in outside]
    annotations = [a for a in part.coco["annotations"] if a["image_id"] not in outside]
    return Labels({**part.coco, "images": images, "annotations": annotations}, part.image_root)


def _stays_below(image: CocoImage) -> bool:
    name = image["file_name"]
    return not name.startswith("/") and ".." not in name


def _path(root: str, image: CocoImage) -> str:
    return os.path.normpath(os.path.join(root, image["file_name"]))  # noqa: PTH118  (Path costs 10 us a file)


def _is_inside(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)
