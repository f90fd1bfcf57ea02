"""The agreement of two predictions of one image, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.text import plural
from instseg.core.types import Prediction

MAX_BOX_PX, MAX_SCORE, MIN_MASK_IOU = 0.05, 1e-3, 0.999
SAME_BOX_PX = 2.0
"""Boxes of one category that are farther apart are different instances: suppression leaves none so close."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest differences that are accepted."""

    min_mask_iou: float
    missing_fraction: float
    """Of the instances, those that only one of the two may have."""


TRAINED = Limits(MIN_MASK_IOU, 0.0)
UNTRAINED = Limits(0.9, 0.2)
"""An untrained network scores all boxes and pixels about alike, so that rounding decides."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The distance of a prediction from its reference."""

    image: str
    num_instances: int
    """Of the reference."""
    num_missing: int
    """Instances that only one of the two has, those at the lowest score aside."""
    box_px: float
    """The largest difference of a coordinate."""
    score: float
    """The largest difference of a score."""
    mask_iou: float
    """IoU of the masks: the pixels that are in both, over those in either, summed over all instances of the image."""
    limits: Limits = TRAINED

    @property
    def problem(self) -> str:
        """Return what is wrong; empty where the predictions agree."""
        missing = f"{plural(self.num_missing, 'instance')} of {self.num_instances} in one alone"
        min_mask_iou = self.limits.min_mask_iou
        found = [
            (self.num_missing, self.limits.missing_fraction * self.num_instances, missing),
            (self.box_px, MAX_BOX_PX, f"boxes differ by {self.box_px:.3g} px (at most {MAX_BOX_PX})"),
            (self.score, MAX_SCORE, f"scores differ by {self.score:.2g} (at most {MAX_SCORE})"),
            (min_mask_iou, self.mask_iou, f"mask IoU {self.mask_iou:.5f} (at least {min_mask_iou})"),
        ]
        wrong = [text for value, limit, text in found if not value <= limit]  # NaN is wrong, too
        return f"{self.image}: {', '.join(wrong)}" if wrong else ""


def compare(image: str, reference: Prediction, found: Prediction, limits: Limits = TRAINED) -> Agreement:
    """Compare what two networks have found on one image.

    Args:
        image: its name, for people.
        reference: of the network in PyTorch.
        found: of the other.
        limits: that are asked for.
    """
    rows, columns = _pairs(reference, found)
    box_px = np.abs(reference.boxes[rows] - found.boxes[columns]).max(initial=0.0)
    score = np.abs(reference.scores[rows] - found.scores[columns]).max(initial=0.0)
    missing = _num_alone(reference, rows, found) + _num_alone(found, columns, reference)
    mask_iou = _mask_iou(reference, rows, found, columns)
    return Agreement(image, len(reference), missing, float(box_px), float(score), mask_iou, limits)


def _pairs(reference: Prediction, found: Prediction) -> tuple[list[int], list[int]]:
    """Return the rows of instances that are the same: of one category, each with the closest box that is left."""
    distance = np.abs(reference.boxes[:, None] - found.boxes[None]).max(2, initial=0.0)
    distance[reference.labels[:, None] != found.labels[None]] = np.inf
    rows, columns = [], []
    for row in range(len(reference)):
        column = int(distance[row].argmin()) if len(found) else 0
        if len(found) and distance[row, column] < SAME_BOX_PX:
            rows.append(row)
            columns.append(column)
            distance[:, column] = np.inf
    return rows, columns


def _num_alone(own: Prediction, paired: list[int], other: Prediction) -> int:
    """Count the instances that the other has not.

    One at the threshold, or at the end of a list that is full, may fall on either side of it.
    """
    alone = np.setdiff1d(np.arange(len(own)), paired)
    lowest = np.concatenate([own.scores, other.scores]).min(initial=1.0)
    is_certain: NDArray[np.bool_] = own.scores[alone] > lowest + MAX_SCORE
    return len(alone) if not len(other) else int(is_certain.sum())


def _mask_iou(reference: Prediction, rows: list[int], found: Prediction, columns: list[int]) -> float:
    both = either = 0
    for row, column in zip(rows, columns, strict=True):
        pair = [reference.rles[row], found.rles[column]]
        both += int(coco_mask.area(coco_mask.merge(pair, intersect=True)))
        either += int(coco_mask.area(coco_mask.merge(pair)))
    return both / either if either else 1.0
