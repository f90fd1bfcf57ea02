"""Types of errors after TIDE (Bolya et al., 2020, https://arxiv.org/abs/2008.08115), by the IoU of masks.

Every detection that finds nothing is of the first type that fits, and what AP would gain if the errors of one type
alone were fixed is that type's cost. The numbers are those of ``tidecv``, whose rules are kept where they matter: of
equal IoUs the first instance counts, a category without an instance but with detections has AP 0, and AP is read at the
recalls 0, 1/100, ..., 1. Only the scale differs: 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Flags, Rows
from instseg.evaluation.detection_limits import NO_LIMIT
from instseg.evaluation.image_details import NEAR_IOU, DetailsPool
from instseg.evaluation.image_record import MIN_IOU, Overlaps
from instseg.evaluation.one_to_one import NONE, take_first

RIGHT, CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = (
    "right", "classification", "localisation", "both", "duplicate", "background", "missed",
)  # fmt: skip
TYPES = (CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED)
OF_DETECTIONS = (RIGHT, *TYPES[:-1])
"""Types by their number in ``TypedErrors.types``."""


@dataclass(eq=False, slots=True)
class TypedErrors:
    """The type of each of D detections, and the instances that are missed.

    A detection that lies in a crowd has a type, too, but does not count as an error of AP.
    """

    order: Rows  # (C,) the detections that count, image by image, best score first
    types: NDArray[np.int8]  # (D,) number in OF_DETECTIONS; -1 for one that does not count
    is_ignored: Flags  # (D,) lies in a crowd, and has found no instance
    truths: Rows  # (D,) the instance that it has found, or is confused with or badly fits; NONE
    is_found: Flags  # (G,)
    is_missed: Flags  # (G,) no detection finds it, and none would if its category or mask were better
    fixed_by: Rows  # (G,) the best detection that would find it with a better category or mask; NONE

    def of_type(self, name: str) -> Rows:
        """Return the rows of the detections of a type, or of the missed instances."""
        return np.flatnonzero(self.is_missed if name == MISSED else self.types == OF_DETECTIONS.index(name))


@dataclass(eq=False, slots=True)
class _Best:
    """The highest IoU of each detection with some of the instances, and the first instance that has it."""

    iou: NDArray[np.float64]  # (D,)
    truth: Rows  # (D,) NONE where there is no pair

    @classmethod
    def of(cls, near: Overlaps, chosen: Flags, num_detections: int) -> _Best:
        pairs = np.flatnonzero(chosen)
        pairs = pairs[np.lexsort((-near.truths[pairs], near.ious[pairs]))]  # what is written last stays
        best = cls(np.zeros(num_detections), np.full(num_detections, NONE))
        best.iou[near.detections[pairs]], best.truth[near.detections[pairs]] = near.ious[pairs], near.truths[pairs]
        return best


def type_errors(
    pool: DetailsPool, min_iou: float = MIN_IOU, background_iou: float = NEAR_IOU, limit: int = NO_LIMIT
) -> TypedErrors:
    """Find the type of every detection.

    Args:
        pool: the images.
        min_iou: that finds an instance.
        background_iou: up to which a detection is of the background, NEAR_IOU or more.
        limit: the best detections of an image, of all categories, that count; ``tidecv`` has 100.
    """
    near, rows, num_detections = pool.near, pool.rows, len(pool.images)
    order = _counted(pool, limit)
    is_counted = _marked(order, num_detections)
    is_crowd = rows.truth_iscrowd[near.truths]
    is_same = rows.labels[near.detections] == rows.truth_labels[near.truths]
    usable = is_counted[near.detections] & ~is_crowd
    found = _find(near, usable & is_same & (near.ious >= min_iou), pool)
    is_found = _marked(found[found != NONE], len(rows.truth_labels))
    of_kinds = (usable & is_same, usable & ~is_same, usable & is_same & is_found[near.truths])
    same, other, taken = (_Best.of(near, chosen, num_detections) for chosen in of_kinds)
    types, truths = _first_that_fits(found, same, other, taken, min_iou, background_iou)
    in_crowd = _marked(near.detections[is_crowd & is_same & (near.ious > min_iou)], num_detections)
    fixed_by = _fixed_by(order, types, truths, is_found)
    return TypedErrors(
        order=order,
        types=np.where(is_counted, types, -1).astype(np.int8),
        is_ignored=in_crowd & is_counted & (found == NONE),
        truths=truths,
        is_found=is_found,
        is_missed=~is_found & ~rows.truth_iscrowd & (fixed_by == NONE),
        fixed_by=fixed_by,
    )


def _first_that_fits(
    found: Rows, same: _Best, other: _Best, taken: _Best, min_iou: float, background_iou: float
) -> tuple[NDArray[np.int64], Rows]:
    """Return type and instance of each detection.

    Its best instances are those of its own category, of another, and of its own that another detection has found.
    """
    none = np.full(len(found), NONE)
    fits = {
        RIGHT: (found != NONE, found),
        LOCALISATION: ((same.iou >= background_iou) & (same.iou <= min_iou), same.truth),
        CLASSIFICATION: (other.iou >= min_iou, other.truth),
        DUPLICATE: (taken.iou >= min_iou, taken.truth),
        BACKGROUND: (np.maximum(same.iou, other.iou) <= background_iou, none),
    }
    conditions, truths = zip(*fits.values(), strict=True)
    numbers = [OF_DETECTIONS.index(name) for name in fits]
    return np.select(conditions, numbers, OF_DETECTIONS.index(BOTH)), np.select(conditions, truths, NONE)


def _marked(rows: Rows, size: int) -> Flags:
    """Return flags that are true at these rows."""
    flags = np.zeros(size, np.bool_)
    flags[rows] = True
    return flags


def _counted(pool: DetailsPool, limit: int) -> Rows:
    order = pool.by_score()
    images = pool.images[order]
    return order[np.arange(len(order)) - np.searchsorted(images, images) < limit]


def _find(near: Overlaps, chosen: Flags, pool: DetailsPool) -> Rows:
    pairs = np.flatnonzero(chosen)
    pairs = pairs[np.lexsort((near.truths[pairs], -near.ious[pairs], near.detections[pairs]))]
    return take_first(near.detections[pairs], near.truths[pairs], len(pool.images), len(pool.truth_images))


def _fixed_by(order: Rows, types: NDArray[np.int64], truths: Rows, is_found: Flags) -> Rows:
    """Return the best of the detections that each instance is confused with or badly fitted by, NONE if found."""
    fixable = np.isin(types[order], [OF_DETECTIONS.index(CLASSIFICATION), OF_DETECTIONS.index(LOCALISATION)])
    detections = order[fixable][::-1]  # what is written last stays: the best
    fixed_by = np.full(len(is_found), NONE)
    fixed_by[truths[detections]] = detections
    fixed_by[is_found] = NONE
    return fixed_by
