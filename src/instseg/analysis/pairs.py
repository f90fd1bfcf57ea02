"""Pairs of an instance that is there and one that was found, over all categories, at the thresholds in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.image_record import mask_ious

FOUND_IOU = 0.5
"""Least mask IoU of an instance with the detection that finds it."""
TOUCHED_IOU = 0.1
"""Least mask IoU of an instance with a detection that means it, with a bad mask."""
NONE, CROWD = -1, -2


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The D detections of an image beside its N instances.

    Only detections above the thresholds are paired, but in ``match``.
    """

    is_kept: NDArray[np.bool_]  # (D,) at or above the threshold of its category
    match: NDArray[np.int64]  # (D,) instance that it finds, as in AP; NONE, or CROWD for one that lies in a crowd
    confused: NDArray[np.int64]  # (D,) instance of another category, else unfound, that it finds
    touched: NDArray[np.int64]  # (D,) instance of its category, else unfound, that its mask misses in part
    repeated: NDArray[np.int64]  # (D,) instance that another detection has found already
    ious: NDArray[np.float64]  # (D,) with the instance of the pair, 0 without one


def pair(prediction: Prediction, truth: GroundTruth, thresholds: NDArray[np.float64]) -> Pairs:
    """Pair the instances of an image, the best score first, each with one detection at most.

    First as COCO does, within a category; then, of what is left above the thresholds, over categories at an IoU of
    FOUND_IOU, and within a category at TOUCHED_IOU. What finds an instance that is found already is repeated.

    Args:
        prediction: in the original frame, best score first.
        truth: of the same image, in the same frame.
        thresholds: (C,) least score of each category.
    """
    ious = mask_ious(prediction, truth)
    same = prediction.labels[:, None] == truth.labels
    is_kept = prediction.scores >= thresholds[prediction.labels - 1]
    taken = truth.iscrowd.copy()
    match = _match(ious * same, taken, truth.iscrowd, np.argsort(-prediction.scores, kind="stable"))
    is_found_by_kept = np.zeros(len(truth), np.bool_)
    is_found_by_kept[match[is_kept & (match >= 0)]] = True
    open_rows = np.flatnonzero(is_kept & (match == NONE))
    free = ~is_found_by_kept & ~truth.iscrowd
    confused = _take(ious * ~same, open_rows, free, FOUND_IOU)
    open_rows = open_rows[confused[open_rows] == NONE]
    touched = _take(ious * same, open_rows, free, TOUCHED_IOU)
    open_rows = open_rows[touched[open_rows] == NONE]
    repeated = _take(ious, open_rows, ~truth.iscrowd, FOUND_IOU, once=False)
    partner = np.max([match, confused, touched, repeated], axis=0)
    found = np.zeros(len(prediction))
    has_partner = partner >= 0
    found[has_partner] = ious[has_partner, partner[has_partner]]
    return Pairs(is_kept, match, confused, touched, repeated, found)


def _match(
    ious: NDArray[np.float64], taken: NDArray[np.bool_], is_crowd: NDArray[np.bool_], order: NDArray[np.intp]
) -> NDArray[np.int64]:
    match = np.full(len(ious), NONE, np.int64)
    possible = ious.max(axis=1, initial=0.0) >= FOUND_IOU
    for row in order[possible[order]].tolist():
        free = np.where(taken, 0.0, ious[row])
        if free.max() >= FOUND_IOU:
            match[row] = len(free) - 1 - int(free[::-1].argmax())  # the last of equals, as COCO
            taken[match[row]] = True
        elif ious[row][is_crowd].max(initial=0.0) >= FOUND_IOU:
            match[row] = CROWD
    return match


def _take(
    ious: NDArray[np.float64], rows: NDArray[np.int64], free: NDArray[np.bool_], least: float, once: bool = True
) -> NDArray[np.int64]:
    """Give each row the free instance of the highest IoU; an instance that is given ``once`` is no longer free."""
    given = np.full(len(ious), NONE, np.int64)
    for row in rows[ious[rows].max(axis=1, initial=0.0) >= least].tolist():
        possible = np.where(free, ious[row], 0.0)
        if possible.max() >= least:
            given[row] = int(possible.argmax())
            free[given[row]] = not once
    return given
