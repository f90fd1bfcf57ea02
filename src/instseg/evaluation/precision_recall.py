"""Precision and recall from matches: pycocotools' ``COCOeval.accumulate``, which reads them off a curve per category.

Along a category's detections, best score first, precision rises only where an instance is found. So the curve is
followed only over the detections that overlap ground truth; of all others it is enough to know how many came before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instseg.evaluation.matching import AREAS, FOUND, IOU_THRESHOLDS, RECALLS, UNMATCHED, Matches, Pool, within_areas

DETECTION_LIMITS = (1, 10, 100)  # per image and category

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def precision_and_recall(pool: Pool, matches: Matches, areas: Floats, num_categories: int) -> tuple[Floats, Floats]:
    """COCO's arrays, -1 where there is no ground truth.

    ``areas`` (D,) are those of the detections, in px²: one that matches nothing is wrong in the ranges of its area
    only. Precision is (IOU_THRESHOLDS, RECALLS, category, AREAS) with 100 detections, recall (IOU_THRESHOLDS,
    category, AREAS, DETECTION_LIMITS).
    """
    within = within_areas(areas)
    precision = np.full((len(IOU_THRESHOLDS), len(RECALLS), num_categories, len(AREAS)), -1.0)
    recall = np.full((len(IOU_THRESHOLDS), num_categories, len(AREAS), len(DETECTION_LIMITS)), -1.0)
    positives = _positives(pool, num_categories)
    rows, bounds, before = _by_category(pool, matches, within, num_categories)
    for category in np.flatnonzero(positives.any(axis=1)):
        part = slice(bounds[category], bounds[category + 1])
        outcomes, detections = matches.outcomes[rows[part]], matches.detections[rows[part]]
        wrong = (outcomes == UNMATCHED) & within[detections][:, None]
        num_wrong = np.cumsum(wrong, axis=0) + before[part][:, None]
        found, defined = outcomes == FOUND, positives[category] > 0
        precision[:, :, category, defined] = _curves(found, num_wrong, positives[category])[:, :, defined]
        for index, limit in enumerate(DETECTION_LIMITS):
            num_found = found[pool.ranks[detections] < limit].sum(axis=0)
            recall[:, category, defined, index] = num_found[:, defined] / positives[category, defined]
    return precision, recall


def _positives(pool: Pool, num_categories: int) -> Counts:
    """(category, AREAS) how many instances there are to find."""
    counted = [pool.truth_labels[~ignored] for ignored in pool.truth_ignored.T]
    return np.stack([np.bincount(labels, minlength=num_categories + 1)[1:] for labels in counted], axis=1)


def _by_category(
    pool: Pool, matches: Matches, within: NDArray[np.bool_], num_categories: int
) -> tuple[Counts, Counts, Counts]:
    """The rows of ``matches`` by category, best score first; where each category begins (and the last ends); and
    (M, AREAS) how many detections of the category that overlap nothing, within each range, come before each row."""
    alone = within.copy()
    alone[matches.detections] = False
    num_alone = np.cumsum(alone[pool.order], axis=0)
    places = np.empty_like(pool.order)
    places[pool.order] = np.arange(len(places))
    rows = np.argsort(places[matches.detections])
    labels = pool.labels[matches.detections[rows]]
    starts = np.searchsorted(pool.labels[pool.order], labels)  # of the category, among all detections
    before = np.concatenate([np.zeros((1, len(AREAS)), dtype=np.int64), num_alone])
    bounds = np.searchsorted(labels, np.arange(1, num_categories + 2))
    return rows, bounds, before[places[matches.detections[rows]]] - before[starts]


def _curves(found: NDArray[np.bool_], num_wrong: Counts, positives: Counts) -> Floats:
    """(IOU_THRESHOLDS, RECALLS, AREAS): the best precision at which so much of the ``positives`` is found.

    ``found`` and ``num_wrong`` (so far) are (rows, IOU_THRESHOLDS, AREAS).
    """
    num_found, total = np.cumsum(found, axis=0), found.sum(axis=0)
    precision = num_found / (num_found + num_wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    needed = np.stack([1 + np.searchsorted(np.arange(1, n + 1) / n, RECALLS) for n in positives], axis=1)
    reached = needed <= total[:, None]
    *_, rows = np.nonzero(found.transpose(1, 2, 0))  # of each threshold and range in turn, ascending
    firsts = (np.cumsum(total) - total.reshape(-1)).reshape(total.shape)
    threshold, _, area = np.nonzero(reached)
    curves = np.zeros(reached.shape)
    curves[reached] = best[rows[(firsts[:, None] + needed - 1)[reached]], threshold, area]
    return curves
