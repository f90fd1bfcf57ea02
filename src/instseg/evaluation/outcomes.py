"""Matching of one image at one IoU: which instances were found, and which detections are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.outcomes import Outcomes
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.image_record import MAX_AREAS, MIN_IOU


def outcomes_of(prediction: Prediction, truth: GroundTruth, min_iou: float = MIN_IOU) -> Outcomes:
    """Match detections to the ground truth of their category by their masks, the best score first, as COCO does.

    Each takes the free instance with the highest IoU of at least ``min_iou``; a crowd only if there is none.

    Args:
        prediction: in the original frame; every instance is matched, whatever its score.
        truth: of the same image, in the same frame.
        min_iou: that a match needs, 0 to 1. That with a crowd is the fraction of the detection inside it.
    """
    ious = np.where(prediction.labels[:, None] == truth.labels, _ious(prediction, truth), 0.0)
    is_found, is_right = np.zeros(len(truth), np.bool_), np.zeros(len(prediction), np.bool_)
    in_crowd = np.zeros(len(prediction), np.bool_)
    for row in np.argsort(-prediction.scores, kind="stable").tolist():
        possible = np.where(is_found | truth.iscrowd, 0.0, ious[row])
        if possible.max(initial=0.0) >= min_iou:
            is_found[len(truth) - 1 - possible[::-1].argmax()] = is_right[row] = True  # the last of equals, as COCO
        else:
            in_crowd[row] = ious[row][truth.iscrowd].max(initial=0.0) >= min_iou
    return Outcomes(is_found, ~is_found & ~truth.iscrowd, is_right, ~is_right & ~in_crowd)


def _ious(prediction: Prediction, truth: GroundTruth) -> NDArray[np.float64]:
    """Return the (D, N) IoUs of masks."""
    ious = np.zeros((len(prediction), len(truth)))
    for row in range(0, len(prediction), MAX_AREAS):
        for column in range(0, len(truth), MAX_AREAS):
            rows, columns = slice(row, row + MAX_AREAS), slice(column, column + MAX_AREAS)
            ious[rows, columns] = coco_mask.iou(prediction.rles[rows], truth.rles[columns], truth.iscrowd[columns])
    return ious
