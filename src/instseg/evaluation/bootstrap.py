"""AP of many bootstrap resamples of one test at once; equal to the metric's AP where every weight is one.

A resample draws images with replacement: an image drawn w times has weight w and counts as w copies. The order of the
detections is the same in all resamples, so the precision-recall curves of all of them are computed together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.evaluation.detection_limits import COCO_LIMIT, NO_LIMIT
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.intervals import RESAMPLES, draw, interval
from instseg.evaluation.matching import AREAS, FOUND, RECALLS, UNMATCHED, Matches, Pool, match, within_areas

Weights = NDArray[np.int64]
"""(resamples, images), the number of times each image is drawn."""
THRESHOLDS = {"": slice(None), "_50": slice(0, 1), "_75": slice(5, 6)}
MIN_RESAMPLES, DETECTIONS_DRAWN = 200, 20_000_000
"""The interval of one run is printed at its end: fewer resamples where there are many detections, to take seconds."""
CHUNK = 4_000_000  # numbers in the largest arrays, 32 MB each


@dataclass(frozen=True)
class ApKind:
    """One kind of AP: of boxes or masks, and the IoU thresholds, sizes, category and detections it covers."""

    kind: str
    thresholds: slice
    area: int
    category: str | None
    limit: int  # detections of each image and category

    @classmethod
    def parse(cls, metric: str) -> ApKind:
        """Parse the name of a metric.

        Args:
            metric: ``segm_map``, ``bbox_map_50``, ``segm_map_small``, ``segm_map_all``, ``segm_map/car``, ..., also
                with ``val/`` or ``test/`` in front.

        Raises:
            InstsegError: the name is no AP.
        """
        sizes = [name for name in AREAS if name != "all"]
        pattern = rf"(?:val/|test/)?(segm|bbox)_map(_50|_75|_all|_{'|_'.join(sizes)})?(?:/(.+))?"
        found = re.fullmatch(pattern, metric)
        if found is None or (found[2] and found[3]):
            raise InstsegError(
                f"{metric}: runs are compared by segm_map, segm_map_50, segm_map_small, segm_map/<category>, "
                "and the same of bbox_map"
            )
        size = (found[2] or "")[1:]
        area = list(AREAS).index(size) if size in sizes else 0
        limit = NO_LIMIT if size == "all" else COCO_LIMIT
        return cls(found[1], THRESHOLDS.get(found[2] or "", slice(None)), area, found[3], limit)


@dataclass(frozen=True)
class _Curve:
    """The D detections of a category, best score first, with their outcome at each of T IoU thresholds."""

    images: NDArray[np.int64]  # (D,)
    outcomes: NDArray[np.uint8]  # (D, T)
    is_counted: NDArray[np.bool_]  # (D,) counts as wrong where unmatched: its area is in the range
    truth_images: NDArray[np.int64]  # (G,) image of each instance to find


class ResampledAp:
    """AP of the images of one run under any weights.

    Args:
        records: the images, each once, sorted by image_id.
        categories: names of the labels 1...
        metric: name of the AP, as ``ApKind.parse`` reads it.

    Raises:
        InstsegError: there is no such metric or category.
    """

    def __init__(self, records: Sequence[ImageRecord], categories: Categories, metric: str) -> None:
        kind = ApKind.parse(metric)
        if kind.category is not None and kind.category not in categories.names:
            raise InstsegError(f"{metric}: no such category; there are {', '.join(categories.names)}")
        names = categories.names if kind.category is None else (kind.category,)
        labels = [categories.names.index(name) + 1 for name in names]
        self.num_images = len(records)
        self._curves = list(_curves(records, kind, labels))

    def __call__(self, weights: Weights) -> NDArray[np.float64]:
        """Return AP, (resamples,); NaN where no category has an instance to find."""
        longest = max((curve.outcomes.size for curve in self._curves), default=1)
        step = max(1, CHUNK // max(longest, self.num_images, 1))
        return np.concatenate([self._ap(weights[i : i + step]) for i in range(0, len(weights), step)])

    def _ap(self, weights: Weights) -> NDArray[np.float64]:
        values = np.stack([_precisions(curve, weights) for curve in self._curves], axis=3)  # (R, T, RECALLS, category)
        defined = values[:, 0, 0] > -1  # (R, category)
        ap = np.full(len(weights), np.nan)
        for pattern in np.unique(defined, axis=0):  # the same order of summation as in the metric
            rows = (defined == pattern).all(axis=1)
            if pattern.any():
                ap[rows] = [np.mean(one[..., pattern].ravel()) for one in values[rows]]
        return ap


def ap_interval(records: Sequence[ImageRecord], categories: Categories, metric: str) -> tuple[float, float]:
    """Return the interval of 95 % of AP over images like those that were measured.

    Args:
        records: MIN_IMAGES or more images, each once, sorted by image_id.
        categories: names of the labels 1….
        metric: such as segm_map.

    Returns:
        Its ends; NaN where no image has an instance to find.
    """
    measure = ResampledAp(records, categories, metric)
    detections = sum(len(record.labels) for record in records)
    resamples = max(MIN_RESAMPLES, min(RESAMPLES, DETECTIONS_DRAWN // max(detections, 1)))
    values = measure(draw(len(records), resamples))
    return interval(values, len(records)) if np.isfinite(values).any() else (math.nan, math.nan)


def _curves(records: Sequence[ImageRecord], kind: ApKind, labels: Sequence[int]) -> Iterator[_Curve]:
    pool = Pool.of(records)
    overlaps = pool.overlaps([record.masks if kind.kind == "segm" else record.boxes for record in records])
    outcomes = _outcomes(pool, match(pool, overlaps), kind)
    within = within_areas(overlaps.areas)[:, kind.area]
    images = np.repeat(np.arange(len(records)), [len(record.labels) for record in records])
    truth_images = np.repeat(np.arange(len(records)), [len(record.truth_labels) for record in records])
    wanted = ~pool.truth_ignored[:, kind.area]
    for label in labels:
        rows = pool.order[(pool.labels[pool.order] == label) & (pool.ranks[pool.order] < kind.limit)]
        to_find = truth_images[wanted & (pool.truth_labels == label)]
        yield _Curve(images[rows], outcomes[rows], within[rows], to_find)


def _outcomes(pool: Pool, matches: Matches, kind: ApKind) -> NDArray[np.uint8]:
    """Return the outcomes (D, T) of all detections, including those that overlap nothing."""
    of_matched = matches.outcomes[:, kind.thresholds, kind.area]
    outcomes = np.full((len(pool.labels), of_matched.shape[1]), UNMATCHED, dtype=np.uint8)
    outcomes[matches.detections] = of_matched
    return outcomes


def _precisions(curve: _Curve, weights: Weights) -> NDArray[np.float64]:
    """Return the best precision at each recall or above, (R, T, RECALLS); -1 where there is nothing to find."""
    num_thresholds = curve.outcomes.shape[1]
    precisions = np.zeros((len(weights), num_thresholds, len(RECALLS)))
    positives = weights[:, curve.truth_images].sum(axis=1)
    needed = _needed(positives)
    of_detections = weights[:, curve.images]
    for threshold in range(num_thresholds):
        outcome = curve.outcomes[:, threshold]
        found = outcome == FOUND
        if not found.any():
            continue
        wrong = np.where((outcome == UNMATCHED) & curve.is_counted, of_detections, 0).cumsum(axis=1)
        num_found = of_detections[:, found].cumsum(axis=1)
        precisions[:, threshold] = _read_off(num_found, wrong[:, found], needed)
    precisions[positives == 0] = -1
    return precisions


def _needed(positives: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many must be found to reach each recall, (R, RECALLS), at least 1, rounded as by pycocotools."""
    each, of_resample = np.unique(positives, return_inverse=True)
    return np.stack([1 + np.searchsorted(np.arange(1, n + 1) / n, RECALLS) for n in each])[of_resample]


def _read_off(
    num_found: NDArray[np.int64], num_wrong: NDArray[np.int64], needed: NDArray[np.int64]
) -> NDArray[np.float64]:
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
