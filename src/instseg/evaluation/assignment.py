"""Assignment of detections to instances, one to one, at a single IoU: which detection has found which instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.image_record import MIN_IOU, Overlaps
from instseg.evaluation.one_to_one import NONE, take_first


@dataclass(eq=False, slots=True)
class Assignment:
    """The instance that each of D detections has found, as in COCO's matching at this IoU."""

    truths: NDArray[np.int64]  # (D,) row of the instance; NONE
    ious: NDArray[np.float64]  # (D,) with it; 0
    is_ignored: NDArray[np.bool_]  # (D,) lies in a crowd of its category, and has found no instance


def assign(pool: InstancePool, min_iou: float = MIN_IOU) -> Assignment:
    """Assign detections to instances of their category by their masks, best score first, as COCO does.

    Args:
        pool: the images.
        min_iou: that is needed, NEAR_IOU or more.
    """
    near, rows = pool.near, pool.rows
    fits = (near.ious >= min_iou) & (rows.labels[near.detections] == rows.truth_labels[near.truths])
    in_crowd = fits & rows.truth_iscrowd[near.truths]
    pairs = np.flatnonzero(fits & ~in_crowd)
    order = pairs[np.lexsort((-near.truths[pairs], -near.ious[pairs], near.detections[pairs]))]  # of equals the later
    truths = take_first(near.detections[order], near.truths[order], len(rows.labels), len(rows.truth_labels))
    is_ignored = np.zeros(len(truths), np.bool_)
    is_ignored[near.detections[in_crowd]] = True
    return Assignment(truths, ious_of(near, truths), is_ignored & (truths == NONE))


def ious_of(near: Overlaps, truths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the IoU of each detection with the instance that it has found.

    Args:
        near: pairs of rows.
        truths: (D,) row of the instance; NONE.

    Returns:
        (D,); 0 for NONE.
    """
    ious, chosen = np.zeros(len(truths)), truths[near.detections] == near.truths
    ious[near.detections[chosen]] = near.ious[chosen]
    return ious
