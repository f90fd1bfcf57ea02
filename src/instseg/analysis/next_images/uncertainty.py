"""Uncertainty of a model about an image, from what it finds there and on the same image mirrored.

A detection is uncertain where its score is near one half, where the mirrored image lacks it (consistency, as in Elezi
et al., 2022), and where the two masks of it differ. Nothing is asked of the network but its predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.arrays import Floats
from instseg.core.types import Prediction
from instseg.evaluation.one_to_one import NONE, take_first

MIN_SCORE = 0.1
"""Detections below count nowhere: an untrained network has hundreds."""
MIN_IOU = 0.3
"""Of the masks of one object in the two predictions."""


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Uncertainty about an image, as sums over its detections."""

    num_detections: int  # in either of the two predictions, an object counted once
    scores: float  # bits: entropy of the mean of the two scores, 0 where one of them is missing
    masks: float  # 1 - IoU of the two masks, times the mean score

    @property
    def total(self) -> float:
        """Both together."""
        return self.scores + self.masks


def uncertainty(found: Prediction, mirrored: Prediction) -> Uncertainty:
    """Return the uncertainty about an image.

    Args:
        found: on the image.
        mirrored: on the mirrored image, and mirrored back.
    """
    one, other = (side.select(side.scores >= MIN_SCORE) for side in (found, mirrored))
    partner, ious = _same_objects(one, other)
    is_paired = partner != NONE
    alone = np.ones(len(other), np.bool_)
    alone[partner[is_paired]] = False
    scores = one.scores.astype(np.float64)
    scores[is_paired] += other.scores[partner[is_paired]]
    means = np.concatenate([scores, other.scores[alone].astype(np.float64)]) / 2
    masks = float((means[: len(one)] * (1 - ious))[is_paired].sum())
    return Uncertainty(len(means), float(_entropy(means).sum()), masks)


def _same_objects(one: Prediction, other: Prediction) -> tuple[NDArray[np.int64], Floats]:
    """Pair the detections of one category, best score and then best mask IoU first.

    Returns:
        (N,) of each detection of ``one`` the row in ``other``, NONE where there is none; and (N,) the IoU with it.
    """
    ious = np.zeros((len(one), len(other)))
    if len(one) and len(other):
        ious = np.asarray(coco_mask.iou(one.rles, other.rles, [0] * len(other)))
        ious[one.labels[:, None] != other.labels[None, :]] = 0
    rows, columns = np.nonzero(ious >= MIN_IOU)
    order = np.lexsort((-ious[rows, columns], rows))  # rows are by score
    partner = take_first(rows[order], columns[order], len(one), len(other))
    paired = partner != NONE
    chosen = np.zeros(len(one))
    chosen[paired] = ious[np.flatnonzero(paired), partner[paired]]
    return partner, chosen


def _entropy(probabilities: Floats) -> Floats:
    """Return the entropy of yes or no, bits."""
    inside = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
