"""Corrections of labels, as every format takes them: a label before and after, by its category and its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from instseg.core.errors import InstsegError
from instseg.core.masks import box_to_polygon, clip_polygon, polygons_to_rle, segmentation_to_rle
from instseg.core.types import CocoAnnotation, ImageSize, Rle

MIN_SAME_IOU = 0.8
"""Of a label with itself, read again: formats round their coordinates."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label of an image."""

    category: str
    rle: Rle
    """Of the image's size, in the frame of its labels."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A label that changes. Without ``before`` it is new, without ``after`` it goes."""

    before: Label | None
    after: Label | None

    @property
    def is_redrawn(self) -> bool:
        """Tell whether its area changes."""
        return self.before is None or self.after is None or self.before.rle != self.after.rle


Corrections = Mapping[Path, Sequence[Correction]]
"""File of an image, absolute and without links -> what changes about its labels."""


@dataclass(slots=True)
class Proposed:
    """Copies of label files with corrections."""

    files: list[Path] = field(default_factory=list)
    num_placed: int = 0
    """Corrections whose labels were found, and that were made."""


def match_labels(corrections: Sequence[Correction], labels: Sequence[Label | None]) -> list[int | None]:
    """Find the label that each correction is about.

    Args:
        corrections: of one image.
        labels: of the image as its file has them; None for a shape that is no label.

    Returns:
        The position of the label for each correction, each once; None for a new label and where none fits.
    """
    places = [place for place, label in enumerate(labels) if label is not None]
    taken: set[int] = set()
    found: list[int | None] = []
    for correction in corrections:
        free = [place for place in places if place not in taken]
        best = None if correction.before is None else _best(correction.before, free, labels)
        found.append(best)
        taken |= set() if best is None else {best}
    return found


def _best(wanted: Label, places: Sequence[int], labels: Sequence[Label | None]) -> int | None:
    """Return the place of the label with the most similar mask; of equal masks, that of the same category."""
    known = [(place, label) for place in places if (label := labels[place]) is not None]
    if not known:
        return None
    ious = np.asarray(coco_mask.iou([label.rle for _, label in known], [wanted.rle], [0]))[:, 0]
    scores = [iou + 0.01 * (label.category == wanted.category) for iou, (_, label) in zip(ious, known, strict=True)]
    best = int(np.argmax(scores))
    return known[best][0] if ious[best] >= MIN_SAME_IOU else None


def mask_of(annotation: CocoAnnotation, image_size: ImageSize) -> Rle | None:
    """Return the mask of an annotation, of its box where it has no other; None where it has none that can be read.

    Args:
        annotation: of a label file.
        image_size: (height, width) px in the frame of the labels.
    """
    segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
    try:
        if isinstance(segmentation, list) and segmentation:
            polygons = [np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in segmentation]
        elif isinstance(segmentation, dict):
            return segmentation_to_rle(segmentation, image_size)
        elif box is not None:
            x, y, width, height = map(float, box)
            polygons = [box_to_polygon(np.array([x, y, x + width, y + height]))]
        else:
            return None
        inside = [part for polygon in polygons if len(part := clip_polygon(polygon, image_size)) >= 3]
        return polygons_to_rle(inside, image_size) if inside else None
    except (InstsegError, TypeError, ValueError):
        return None
