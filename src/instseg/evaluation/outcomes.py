"""Matching of one image at one IoU: which instances were found, and which detections are right."""

from __future__ import annotations

import numpy as np

from instseg.core.outcomes import Outcomes
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.image_record import MIN_IOU, mask_ious


def outcomes_of(prediction: Prediction, truth: GroundTruth, min_iou: float = MIN_IOU) -> Outcomes:
    """Match detections to the ground truth of their category by their masks, the best score first, as COCO does.

    Each takes the free instance with the highest IoU of at least ``min_iou``; a crowd only if there is none.

    Args:
        prediction: in the original frame; every instance is matched, whatever its score.
        truth: of the same image, in the same frame.
        min_iou: that a match needs, 0 to 1. That with a crowd is the fraction of the detection inside it.
    """
    ious = np.where(prediction.labels[:, None] == truth.labels, mask_ious(prediction, truth), 0.0)
    is_found, is_right = np.zeros(len(truth), np.bool_), np.zeros(len(prediction), np.bool_)
    in_crowd = np.zeros(len(prediction), np.bool_)
    for row in np.argsort(-prediction.scores, kind="stable").tolist():
        possible = np.where(is_found | truth.iscrowd, 0.0, ious[row])
        if possible.max(initial=0.0) >= min_iou:
            is_found[len(truth) - 1 - possible[::-1].argmax()] = is_right[row] = True  # the last of equals, as COCO
        else:
            in_crowd[row] = ious[row][truth.iscrowd].max(initial=0.0) >= min_iou
    return Outcomes(is_found, ~is_found & ~truth.iscrowd, is_right, ~is_right & ~in_crowd)
