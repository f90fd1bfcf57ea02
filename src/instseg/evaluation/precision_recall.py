"""Precision and recall from matches, as in pycocotools' ``COCOeval.accumulate``.

Along the detections of a category, best score first, precision rises only where an instance is found. So the curve is
computed only at detections that overlap ground truth; the others enter it by their number alone.
"""

from __future__ import annotations

import numpy as np

from instseg.core.arrays import Counts, Flags, Floats
from instseg.evaluation.detection_limits import COCO_LIMIT, DETECTION_LIMITS
from instseg.evaluation.matching import FOUND, IOU_THRESHOLDS, UNMATCHED, Matches, Pool
from instseg.evaluation.weighted_curves import RECALLS


def precision_and_recall(
    pool: Pool, matches: Matches, within: Flags, num_categories: int, limit: int = COCO_LIMIT
) -> tuple[Floats, Floats]:
    """Return precision and recall as COCO defines them, -1 where there is no ground truth.

    Args:
        pool: the images, with the ranges of areas or other groups of its ``truth_ignored``.
        matches: outcomes of the detections.
        within: (D, groups) an unmatched detection is wrong only in the groups that it is in.
        num_categories: number of labels 1...
        limit: the best detections of each image and category that count for precision.

    Returns:
        Precision (IOU_THRESHOLDS, RECALLS, category, groups), and recall (IOU_THRESHOLDS, category, groups,
        DETECTION_LIMITS).
    """
    num_groups = within.shape[1]
    precision = np.full((len(IOU_THRESHOLDS), len(RECALLS), num_categories, num_groups), -1.0)
    recall = np.full((len(IOU_THRESHOLDS), num_categories, num_groups, len(DETECTION_LIMITS)), -1.0)
    positives = _positives(pool, num_categories)
    rows, bounds, before = _by_category(pool, matches, within, num_categories, limit)
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
    """Return the number of instances to find, (category, groups)."""
    counted = [pool.truth_labels[~ignored] for ignored in pool.truth_ignored.T]
    return np.stack([np.bincount(labels, minlength=num_categories + 1)[1:] for labels in counted], axis=1)


def _by_category(
    pool: Pool, matches: Matches, within: Flags, num_categories: int, limit: int
) -> tuple[Counts, Counts, Counts]:
    """Order the rows of ``matches`` within the limit by category, best score first.

    Returns:
        Those rows (M,); the start of each category among them, and the end of the last (num_categories + 1,); and the
        number of detections of the category within each group that overlap nothing and precede a row (M, groups).
    """
    alone = within & (pool.ranks < limit)[:, None]
    alone[matches.detections] = False
    num_alone = np.cumsum(alone[pool.order], axis=0)
    places = np.empty_like(pool.order)
    places[pool.order] = np.arange(len(places))
    counted = np.flatnonzero(pool.ranks[matches.detections] < limit)
    rows = counted[np.argsort(places[matches.detections[counted]])]
    labels = pool.labels[matches.detections[rows]]
    starts = np.searchsorted(pool.labels[pool.order], labels)  # the first detection of the category
    before = np.concatenate([np.zeros((1, within.shape[1]), dtype=np.int64), num_alone])
    bounds = np.searchsorted(labels, np.arange(1, num_categories + 2))
    return rows, bounds, before[places[matches.detections[rows]]] - before[starts]


def _curves(found: Flags, num_wrong: Counts, positives: Counts) -> Floats:
    """Return the best precision at each recall or above, (IOU_THRESHOLDS, RECALLS, groups).

    ``found`` and ``num_wrong``, the wrong ones so far, are (rows, IOU_THRESHOLDS, groups).
    """
    num_found, total = np.cumsum(found, axis=0), found.sum(axis=0)
    precision = num_found / (num_found + num_wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    needed = np.stack([1 + np.searchsorted(np.arange(1, n + 1) / n, RECALLS) for n in positives], axis=1)
    reached = needed <= total[:, None]
    *_, rows = np.nonzero(found.transpose(1, 2, 0))  # threshold by threshold and range by range, ascending
    firsts = (np.cumsum(total) - total.reshape(-1)).reshape(total.shape)
    threshold, _, area = np.nonzero(reached)
    curves = np.zeros(reached.shape)
    curves[reached] = best[rows[(firsts[:, None] + needed - 1)[reached]], threshold, area]
    return curves
