"""Boundary IoU (Cheng et al., 2021, https://arxiv.org/abs/2103.16562): the IoU of the pixels near the contours.

The boundary of a mask is what an erosion takes from it: its pixels within a distance of its contour, or of the border
of the image. Masks are eroded in their own boxes, which gives the same pixels as in the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.masks import rles_runs
from instseg.core.types import Bitmask, GroundTruth, ImageSize, Prediction, Rle
from instseg.evaluation.image_record import MIN_IOU, ImageRecord, Overlaps, best_first

RATIO = 0.02
"""Distance to the contour in diagonals of the image, as in the paper for COCO."""


@dataclass(eq=False, frozen=True, slots=True)
class Boundary:
    """Pixels of a mask near its contour, in the box of the mask."""

    left: int
    top: int
    columns: Bitmask  # (width, height) of the box, column by column as in RLE
    size: int  # number of its pixels


def boundary_distance(image_size: ImageSize, ratio: float = RATIO) -> int:
    """Return the distance to the contour in px, at least 1.

    Args:
        image_size: height, width in pixels.
        ratio: of the diagonal of the image.
    """
    return max(1, round(ratio * math.sqrt(image_size[0] ** 2 + image_size[1] ** 2)))


def boundaries(rles: Sequence[Rle], ratio: float = RATIO) -> list[Boundary]:
    """Find the boundaries of masks of one image.

    Args:
        rles: the masks.
        ratio: of the diagonal of the image.
    """
    if not rles:
        return []
    runs, owners = rles_runs([rle["counts"] for rle in rles])
    starts = np.searchsorted(owners, np.arange(len(rles) + 1))
    height, width = rles[0]["size"]
    distance = boundary_distance((height, width), ratio)
    boxes = coco_mask.toBbox(rles).astype(int).tolist()
    of_masks = (runs[first:last] for first, last in pairwise(starts.tolist()))
    return [_boundary(own, box, height, distance) for own, box in zip(of_masks, boxes, strict=True)]


def _boundary(runs: NDArray[np.int64], box: list[int], height: int, distance: int) -> Boundary:
    """Find the pixels of a mask that are near what is outside of it, in either axis."""
    crop = _crop(runs, box, height)
    if min(crop.shape) > 2 * distance:  # else each pixel is
        kernel = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
        inside = cv2.erode(crop, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=[0])
        crop = crop - np.asarray(inside, dtype=np.uint8)
    return Boundary(box[0], box[1], crop, int(np.count_nonzero(crop)))


def _crop(runs: NDArray[np.int64], box: list[int], height: int) -> Bitmask:
    """Draw the runs of a mask, outside first, into its box x, y, width, height; (width, height)."""
    left, top, box_width, box_height = box
    lengths = runs[1::2]
    column, row = np.divmod(np.cumsum(runs)[: 2 * len(lengths) : 2], height)  # first pixels inside
    firsts = (column - left) * box_height + row - top  # a run through several columns is in a box of full height
    firsts, lengths = firsts[lengths > 0], lengths[lengths > 0]
    steps = np.zeros(box_width * box_height + 1, np.int8)
    steps[firsts] = 1
    steps[firsts + lengths] -= 1
    crop: Bitmask = np.cumsum(steps[:-1], dtype=np.int8).view(np.uint8).reshape(box_width, box_height)
    return crop


def boundary_iou(one: Boundary, other: Boundary) -> float:
    """Return the IoU of two boundaries of one image; 0 where both are empty.

    Args:
        one: of a mask.
        other: of another.
    """
    left, top = max(one.left, other.left), max(one.top, other.top)
    right, bottom = (
        min(a + length, b + other_length)
        for a, b, length, other_length in zip(
            (one.left, one.top), (other.left, other.top), one.columns.shape, other.columns.shape, strict=True
        )
    )
    if right <= left or bottom <= top:
        return 0.0
    parts = (b.columns[left - b.left : right - b.left, top - b.top : bottom - b.top] for b in (one, other))
    common = int(np.count_nonzero(np.bitwise_and(*parts)))
    return common / max(one.size + other.size - common, 1)


def with_boundaries(
    record: ImageRecord, prediction: Prediction, truth: GroundTruth, ratio: float = RATIO
) -> ImageRecord:
    """Return the record of an image in which masks are compared by their boundaries, for Boundary AP.

    As in the published tool, the IoU of two masks becomes the lesser of theirs and of that of their boundaries, and
    that with a crowd stays. All that measures AP of masks on records measures Boundary AP on these.

    Args:
        record: of the image.
        prediction: that the record was built from.
        truth: that the record was built from.
        ratio: of the diagonal of the image.
    """
    masks, rows = record.masks, best_first(prediction)
    found, found_places = np.unique(masks.detections, return_inverse=True)
    true, true_places = np.unique(masks.truths, return_inverse=True)
    ones = boundaries([prediction.rles[row] for row in rows[found].tolist()], ratio)
    others = boundaries([truth.rles[row] for row in true.tolist()], ratio)
    places = zip(found_places.tolist(), true_places.tolist(), strict=True)
    ious = np.array([boundary_iou(ones[one], others[other]) for one, other in places], dtype=np.float64)
    ious = np.where(record.truth_iscrowd[masks.truths], masks.ious, np.minimum(masks.ious, ious))
    kept = ious >= MIN_IOU
    return replace(record, masks=Overlaps(masks.areas, masks.detections[kept], masks.truths[kept], ious[kept]))
