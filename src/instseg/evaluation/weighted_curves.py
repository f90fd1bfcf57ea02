"""Precision-recall curves of images that count several times, many weightings at once.

The order of the detections is the same under all weights, so the curves of all of them are computed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from instseg.core.arrays import Counts, Floats
from instseg.evaluation.resampling import in_parts

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which COCO reads a precision-recall curve."""


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
    positives = weights[:, curve.truth_images].sum(axis=1)
    needed = _needed(positives, recalls)
    rows, wrong_before = _undecided(curve, weights)
    of_detections = weights[:, curve.images[rows]]
    precisions = np.zeros((len(weights), curve.is_found.shape[1], len(recalls)))
    for threshold, found in enumerate(curve.is_found[rows].T):
        if not found.any():
            continue
        wrong = np.where(curve.is_wrong[rows, threshold], of_detections, 0).cumsum(axis=1) + wrong_before
        num_found = of_detections[:, found].cumsum(axis=1)
        precisions[:, threshold] = _read_off(num_found, wrong[:, found], needed)
    precisions[positives == 0] = -1
    return precisions


def category_aps(curves: Sequence[Curve], weights: Counts) -> Floats:
    """Return AP over all IoU thresholds and at the lowest, of each category under each weighting.

    Args:
        curves: of C categories.
        weights: (R, images).

    Returns:
        (R, C, 2); NaN where there is nothing to find.
    """
    return in_parts(partial(_category_aps, curves), weights, longest(curves))


def mean_aps(curves: Sequence[Curve], weights: Counts) -> Floats:
    """Return the mean over the categories of what ``category_aps`` returns, (R, 2).

    Args:
        curves: of C categories.
        weights: (R, images).
    """
    return mean_defined(category_aps(curves, weights))


def mean_defined(aps: Floats) -> Floats:
    """Return the mean over categories, (R, 2) of (R, C, 2); NaN where no category is defined."""
    is_there = ~np.isnan(aps)
    number = is_there.sum(axis=1)
    return np.where(number > 0, np.where(is_there, aps, 0).sum(axis=1) / np.maximum(number, 1), np.nan)


def longest(curves: Sequence[Curve]) -> int:
    """Return the number of detections of the longest curve."""
    return max((len(curve.images) for curve in curves), default=0)


def _category_aps(curves: Sequence[Curve], weights: Counts) -> Floats:
    aps = np.full((len(weights), len(curves), 2), np.nan)
    for place, curve in enumerate(curves if len(weights) else ()):
        precisions = weighted_precisions(curve, weights)
        is_there = precisions[:, 0, 0] > -1
        aps[is_there, place, 0] = precisions[is_there].mean(axis=(1, 2))
        aps[is_there, place, 1] = precisions[is_there, 0].mean(axis=1)
    return aps


def _undecided(curve: Curve, weights: Counts) -> tuple[Counts, Counts]:
    """Return the rows (U,) of the detections that are not the same at all thresholds, or found.

    Returns:
        These rows, and how many of those that are wrong at every threshold precede each of them, (R, U). They are most,
        and this is all that the curves need of them.
    """
    always_wrong = curve.is_wrong.all(axis=1)
    rows = np.flatnonzero(~always_wrong & (curve.is_wrong | curve.is_found).any(axis=1))
    wrong = np.flatnonzero(always_wrong)
    starts = np.append(0, np.searchsorted(wrong, rows))  # of those between one of the rows and the next
    between = csr_array(
        (np.ones(starts[-1], np.int64), curve.images[wrong[: starts[-1]]], starts), shape=(len(rows), weights.shape[1])
    )
    return rows, np.cumsum(between @ np.ascontiguousarray(weights.T), axis=0).T


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
