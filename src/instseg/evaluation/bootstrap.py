"""AP of many weighted copies of one test at once, for bootstraps: the metric's own number where every weight is one.

A resample draws images with replacement; an image that is drawn w times counts as w copies. All resamples share the
order of the detections, so precision and recall are followed along it for all of them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.matching import AREAS, FOUND, RECALLS, UNMATCHED, Matches, Pool, match, within_areas

Weights = NDArray[np.int64]
"""(resamples, images) how often each image is drawn."""
THRESHOLDS = {"": slice(None), "_50": slice(0, 1), "_75": slice(5, 6)}
CHUNK = 4_000_000  # numbers of the largest arrays, 32 MB each


@dataclass(frozen=True)
class ApKind:
    """Which AP: of boxes or masks, at which thresholds, of which sizes and categories."""

    kind: str
    thresholds: slice
    area: int
    category: str | None

    @classmethod
    def parse(cls, metric: str) -> ApKind:
        """From ``segm_map``, ``bbox_map_50``, ``segm_map_small``, ``segm_map/car``, with or without ``val/``."""
        sizes = [name for name in AREAS if name != "all"]
        pattern = rf"(?:val/|test/)?(segm|bbox)_map(_50|_75|_{'|_'.join(sizes)})?(?:/(.+))?"
        found = re.fullmatch(pattern, metric)
        if found is None or (found[2] and found[3]):
            raise InstsegError(
                f"{metric}: runs are compared by segm_map, segm_map_50, segm_map_small, segm_map/<category>, "
                "and the same of bbox_map"
            )
        size = (found[2] or "")[1:]
        area = list(AREAS).index(size) if size in sizes else 0
        return cls(found[1], THRESHOLDS["" if area else found[2] or ""], area, found[3])


@dataclass(frozen=True)
class _Curve:
    """The detections of a category, best score first, and what they are at each of T thresholds."""

    images: NDArray[np.int64]  # (D,)
    outcomes: NDArray[np.uint8]  # (D, T)
    is_counted: NDArray[np.bool_]  # (D,) wrong where it matches nothing: of the sizes asked for
    truth_images: NDArray[np.int64]  # (G,) of the instances to find


class ResampledAp:
    """AP of one run's images under any weights."""

    def __init__(self, records: Sequence[ImageRecord], categories: Categories, metric: str) -> None:
        """``records`` as evaluation has them: each image once, sorted by image_id."""
        kind = ApKind.parse(metric)
        if kind.category is not None and kind.category not in categories.names:
            raise InstsegError(f"{metric}: no such category; there are {', '.join(categories.names)}")
        names = categories.names if kind.category is None else (kind.category,)
        labels = [categories.names.index(name) + 1 for name in names]
        self.num_images = len(records)
        self._curves = list(_curves(records, kind, labels))

    def __call__(self, weights: Weights) -> NDArray[np.float64]:
        """(resamples,) AP; NaN where no category has an instance to find."""
        longest = max((curve.outcomes.size for curve in self._curves), default=1)
        step = max(1, CHUNK // max(longest, self.num_images, 1))
        return np.concatenate([self._ap(weights[i : i + step]) for i in range(0, len(weights), step)])

    def _ap(self, weights: Weights) -> NDArray[np.float64]:
        values = np.stack([_precisions(curve, weights) for curve in self._curves], axis=3)  # (R, T, RECALLS, category)
        defined = values[:, 0, 0] > -1  # (R, category)
        ap = np.full(len(weights), np.nan)
        for pattern in np.unique(defined, axis=0):  # so that numbers are added in the order in which the metric does
            rows = (defined == pattern).all(axis=1)
            if pattern.any():
                ap[rows] = [np.mean(one[..., pattern].ravel()) for one in values[rows]]
        return ap


def _curves(records: Sequence[ImageRecord], kind: ApKind, labels: Sequence[int]) -> Iterator[_Curve]:
    pool = Pool.of(records)
    overlaps = pool.overlaps([record.masks if kind.kind == "segm" else record.boxes for record in records])
    outcomes = _outcomes(pool, match(pool, overlaps), kind)
    within = within_areas(overlaps.areas)[:, kind.area]
    images = np.repeat(np.arange(len(records)), [len(record.labels) for record in records])
    truth_images = np.repeat(np.arange(len(records)), [len(record.truth_labels) for record in records])
    wanted = ~pool.truth_ignored[:, kind.area]
    for label in labels:
        rows = pool.order[pool.labels[pool.order] == label]
        to_find = truth_images[wanted & (pool.truth_labels == label)]
        yield _Curve(images[rows], outcomes[rows], within[rows], to_find)


def _outcomes(pool: Pool, matches: Matches, kind: ApKind) -> NDArray[np.uint8]:
    """(D, T) of all detections, also of those that overlap nothing."""
    of_matched = matches.outcomes[:, kind.thresholds, kind.area]
    outcomes = np.full((len(pool.labels), of_matched.shape[1]), UNMATCHED, dtype=np.uint8)
    outcomes[matches.detections] = of_matched
    return outcomes


def _precisions(curve: _Curve, weights: Weights) -> NDArray[np.float64]:
    """(R, T, RECALLS) the best precision at which so much is found; -1 where there is nothing to find."""
    num_thresholds = curve.outcomes.shape[1]
    precisions = np.zeros((len(weights), num_thresholds, len(RECALLS)))
    positives = weights[:, curve.truth_images].sum(axis=1)
    needed = _needed(positives)
    of_detections = weights[:, curve.images]
    for threshold in range(num_thresholds):
        outcome = curve.outcomes[:, threshold]
        wrong = np.where((outcome == UNMATCHED) & curve.is_counted, of_detections, 0).cumsum(axis=1)
        found = outcome == FOUND
        num_found = of_detections[:, found].cumsum(axis=1)
        precisions[:, threshold] = _read_off(num_found, wrong[:, found], needed)
    precisions[positives == 0] = -1
    return precisions


def _needed(positives: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R,) -> (R, RECALLS): how many must be found for each recall, as pycocotools rounds; at least one."""
    each, of_resample = np.unique(positives, return_inverse=True)
    return np.stack([1 + np.searchsorted(np.arange(1, n + 1) / n, RECALLS) for n in each])[of_resample]


def _read_off(
    num_found: NDArray[np.int64], num_wrong: NDArray[np.int64], needed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """``num_found`` and ``num_wrong`` (R, F) at the F detections that found an instance, in their order.

    A detection of an image that is not drawn repeats the numbers before it, or worse ones, and so changes no maximum.
    """
    precisions = np.zeros(needed.shape)
    if num_found.shape[1] == 0:
        return precisions
    precision = num_found / (num_found + num_wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = needed <= num_found[:, -1:]
    above = np.arange(len(num_found))[:, None] * (max(int(num_found.max()), int(needed.max())) + 1)
    places = np.searchsorted((num_found + above).ravel(), (needed + above)[reached])  # in all resamples at once
    precisions[reached] = best.ravel()[places]
    return precisions
