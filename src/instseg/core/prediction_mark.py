"""The mark of a prediction in label files: a digest of its shapes, which holds until somebody changes one of them.

Annotation tools keep the keys that they do not know, so the digest is still there when a file is saved again. Labels
that agree with it are what a network drew; no measurement may take them for the truth.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

DIGEST = "instseg_digest"
"""The key of the digest, in the file of one image, or in the entry of an image in a file of many."""
IMAGES = "instseg_images"
"""The key of the folder of the images in a task of Label Studio, whose exports lie anywhere."""
CHECKED = "checked"
"""A flag of an image, which LabelMe shows as a box to tick: the prediction is right as it is."""
LABELME_DECIMALS, LABELSTUDIO_DECIMALS = 2, 4
"""Decimals of the coordinates that are written: px in LabelMe, percent in Label Studio. A tool that saves the same
shape again may add rounding errors far below."""

Json = Mapping[str, object]


def labelme_digest(shapes: Iterable[object]) -> str:
    """Return the digest of the list ``shapes`` of a LabelMe json: label, group and points of each."""
    return _digest(
        [_text(shape.get("label")), shape.get("group_id"), _rounded(shape.get("points"), LABELME_DECIMALS)]
        if isinstance(shape, Mapping)
        else [shape]
        for shape in shapes
    )


def labelstudio_digest(results: Iterable[object]) -> str:
    """Return the digest of the list ``result`` of an annotation in Label Studio: labels and points of each region."""
    return _digest([_region(result)] for result in results)


def _region(result: object) -> object:
    value = result.get("value") if isinstance(result, Mapping) else None
    if not isinstance(value, Mapping) or "points" not in value:
        return value
    return [value.get("polygonlabels"), _rounded(value["points"], LABELSTUDIO_DECIMALS)]


def coco_digest(instances: Iterable[tuple[str, object]]) -> str:
    """Return the digest of the instances of one image in a COCO json, each as category name and segmentation."""
    return _digest([name, _segmentation(segmentation)] for name, segmentation in instances)


def _segmentation(segmentation: object) -> object:
    """Return a mask as its counts, polygons as rounded numbers."""
    if isinstance(segmentation, Mapping):
        return _text(segmentation.get("counts"))
    return _rounded(segmentation, LABELME_DECIMALS)


MAX_NUMBER = 1e300


def _text(value: object) -> object:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _rounded(value: object, decimals: int) -> object:
    """Return nested lists of numbers with so many decimals; adding 0.0 turns the negative zero into zero."""
    if isinstance(value, list | tuple):
        return [_rounded(entry, decimals) for entry in value]
    if not isinstance(value, int | float) or abs(value) > MAX_NUMBER:  # no float holds integers of any length
        return value
    return round(float(value), decimals) + 0.0


def _digest(shapes: Iterable[object]) -> str:
    """Return the digest of shapes in any order."""
    lines = sorted(json.dumps(shape, default=str) for shape in shapes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
