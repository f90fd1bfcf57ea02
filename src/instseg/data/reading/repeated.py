"""Images that the labels list more than once: each is one image, with the labels of all its entries."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping

from instseg.core.types import CocoAnnotation, CocoDict, CocoImage
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels


def with_each_image_once(coco: CocoDict, findings: Findings) -> CocoDict:
    """Return the labels, each file name once; of several sources that label an image, the first is used.

    Args:
        coco: the labels of one split.
        findings: gets the images that were listed more than once.
    """
    entries: defaultdict[str, list[CocoImage]] = defaultdict(list)
    for image in coco["images"]:
        entries[os.path.normpath(image["file_name"])].append(image)
    if len(entries) == len(coco["images"]):
        return coco
    first_of: dict[int, int] = {}
    left_out: set[int] = set()
    for name, listed in entries.items():
        used = [image for image in listed if image.get("source") == listed[0].get("source")]
        first_of |= {image["id"]: listed[0]["id"] for image in used}
        left_out |= {image["id"] for image in listed} - first_of.keys()
        if len(used) > 1:
            findings.add("image_repeated", f"{name} ({len(used)} times)")
        if len(used) < len(listed):
            findings.add("image_labelled_twice", f"{name} (the labels of {listed[0].get('source')} are used)")
    repeated = {first for image_id, first in first_of.items() if image_id != first}
    kept = [annotation for annotation in coco["annotations"] if annotation["image_id"] not in left_out]
    annotations = [_moved(annotation, first_of[annotation["image_id"]]) for annotation in kept]
    images = [listed[0] for listed in entries.values()]
    return {**coco, "images": images, "annotations": _without_copies(annotations, repeated, findings)}


def _moved(annotation: CocoAnnotation, image_id: int) -> CocoAnnotation:
    return annotation if annotation["image_id"] == image_id else {**annotation, "image_id": image_id}


def _without_copies(annotations: list[CocoAnnotation], images: set[int], findings: Findings) -> list[CocoAnnotation]:
    """Leave out annotations of these images that another repeats word for word."""
    seen: set[str] = set()
    kept = []
    for annotation in annotations:
        if annotation["image_id"] in images:
            entry = {key: value for key, value in whole(annotation).items() if key not in ("id", "json_text")}
            text = json.dumps(entry, sort_keys=True, default=str)
            if text in seen:
                findings.add("shape_repeated", f"annotation {annotation['id']}")
                continue
            seen.add(text)
        kept.append(annotation)
    return kept


def one_source_each(parts: Mapping[str, Labels], findings: Mapping[str, Findings]) -> dict[str, Labels]:
    """Return the splits without the images that another source has labelled in an earlier split.

    Args:
        parts: split -> its labels.
        findings: split -> where they are noted.
    """
    source_of: dict[str, str | None] = {}
    kept = {}
    for split, part in parts.items():
        foreign = set()
        for image in part.coco["images"]:
            path = os.path.normpath(part.image_root / image["file_name"])
            if source_of.setdefault(path, image.get("source")) != image.get("source"):
                findings[split].add("image_labelled_twice", f"{image['file_name']} (another source has it elsewhere)")
                foreign.add(image["id"])
        kept[split] = Labels(_without(part.coco, foreign), part.image_root) if foreign else part
    return kept


def _without(coco: CocoDict, image_ids: set[int]) -> CocoDict:
    images = [image for image in coco["images"] if image["id"] not in image_ids]
    return {**coco, "images": images, "annotations": [a for a in coco["annotations"] if a["image_id"] not in image_ids]}
