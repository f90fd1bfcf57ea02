"""Precision-recall curves of images that count several times, many weightings at once.

The order of the detections is the same under all weights, so the curves of all of them are computed together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which COCO reads a precision-recall curve."""

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """The D detections of a category, best score first, with their outcome at each of T IoU thresholds."""

    images: Counts  # (D,)
    is_found: NDArray[np.bool_]  # (D, T)
    is_wrong: NDArray[np.bool_]  # (D, T) what is neither found nor wrong does not count
    truth_images: Counts  # (G,) image of each instance to find


def weighted_precisions(curve: Curve, weights: Counts, recalls: Floats = RECALLS) -> Floats:
    """Return the best precision at each recall or above.

    Args:
        curve: of one category.
        weights: (R, images), the number of times each image counts.
        recalls: (K,) at which the curve is read.

    Returns:
        (R, T, K); -1 where there is nothing to find.
    """
    num_thresholds = curve.is_found.shape[1]
    precisions = np.zeros((len(weights), num_thresholds, len(recalls)))
    positives = weights[:, curve.truth_images].sum(axis=1)
    needed = _needed(positives, recalls)
    of_detections = weights[:, curve.images]
    for threshold in range(num_thresholds):
        found = curve.is_found[:, threshold]
        if not found.any():
            continue
        wrong = np.where(curve.is_wrong[:, threshold], of_detections, 0).cumsum(axis=1)
        num_found = of_detections[:, found].cumsum(axis=1)
        precisions[:, threshold] = _read_off(num_found, wrong[:, found], needed)
    precisions[positives == 0] = -1
    return precisions


def _needed(positives: Counts, recalls: Floats) -> Counts:
    """Return how many must be found to reach each recall, (R, K), at least 1, rounded as by pycocotools."""
    each, of_resample = np.unique(positives, return_inverse=True)
    return np.stack([1 + np.searchsorted(np.arange(1, n + 1) / n, recalls) for n in each])[of_resample]


def _read_off(num_found: Counts, num_wrong: Counts, needed: Counts) -> Floats:
    """Read precisions off the curves; ``num_found`` and ``num_wrong`` (R, F) are those at the F correct detections.

    A detection in an image that is not drawn repeats the precision before it, or a lower one: no maximum changes.
    """
    precisions = np.zeros(needed.shape)
    precision = num_found / (num_found + num_wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = needed <= num_found[:, -1:]
    above = np.arange(len(num_found))[:, None] * (max(int(num_found.max()), int(needed.max())) + 1)
    places = np.searchsorted((num_found + above).ravel(), (needed + above)[reached])  # in all resamples at once
    precisions[reached] = best.ravel()[places]
    return precisions
