"""AP of many bootstrap resamples of one test at once; equal to the metric's AP where every weight is one.

A resample draws images with replacement: an image drawn w times has weight w and counts as w copies. The order of the
detections is the same in all resamples, so the precision-recall curves of all of them are computed together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.evaluation.detection_limits import COCO_LIMIT, NO_LIMIT
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.intervals import draw, interval, resamples_for
from instseg.evaluation.matching import AREAS, FOUND, UNMATCHED, Matches, Pool, match, within_areas
from instseg.evaluation.resampling import Weights, in_parts
from instseg.evaluation.weighted_curves import Curve, longest, weighted_precisions

ALL = slice(None)
THRESHOLDS = {"": ALL, "_50": slice(0, 1), "_75": slice(5, 6)}


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
        found = re.fullmatch(pattern, metric, re.DOTALL)  # in a name of a category, too
        if found is None or (found[2] and found[3]):
            raise InstsegError(
                f"{metric}: runs are compared by segm_map, segm_map_50, segm_map_small, segm_map/<category>, "
                "and the same of bbox_map"
            )
        size = (found[2] or "")[1:]
        area = list(AREAS).index(size) if size in sizes else 0
        limit = NO_LIMIT if size == "all" else COCO_LIMIT
        return cls(found[1], THRESHOLDS.get(found[2] or "", ALL), area, found[3], limit)


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
            raise InstsegError(f"{metric}: no such category; there are {list_names(categories.names, 30)}")
        everything = range(1, len(categories) + 1)
        labels = everything if kind.category is None else [categories.label(kind.category)]
        pool = Pool.of(records)
        pool = pool if kind.kind == "segm" else pool.of_boxes(records)
        overlaps = pool.overlaps([record.masks if kind.kind == "segm" else record.boxes for record in records])
        matches, within = match(pool, overlaps), within_areas(overlaps.areas)
        self.curves = list(curves_of(pool, matches, within, labels, kind.thresholds, kind.area, kind.limit))

    def __call__(self, weights: Weights) -> NDArray[np.float64]:
        """Return AP, (resamples,); NaN where no category has an instance to find."""
        return resampled_ap(self.curves, weights)


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
    values = measure(draw(len(records), resamples_for(sum(len(record.labels) for record in records))))
    return interval(values, len(records)) if np.isfinite(values).any() else (math.nan, math.nan)


def resampled_ap(curves: Sequence[Curve], weights: Weights) -> NDArray[np.float64]:
    """Return the mean AP of the curves under any weights of the images.

    Args:
        curves: one for each category.
        weights: (resamples, images).

    Returns:
        (resamples,); NaN where no category has an instance to find.
    """
    num_thresholds = max((curve.is_found.shape[1] for curve in curves), default=1)
    return in_parts(partial(_ap, curves), weights, longest(curves) * num_thresholds)


def _ap(curves: Sequence[Curve], weights: Weights) -> Floats:
    values = np.stack([weighted_precisions(curve, weights) for curve in curves], axis=3)  # (R, T, RECALLS, category)
    defined = values[:, 0, 0] > -1  # (R, category)
    ap = np.full(len(weights), np.nan)
    for pattern in np.unique(defined, axis=0):  # the same order of summation as in the metric
        rows = (defined == pattern).all(axis=1)
        if pattern.any():
            ap[rows] = values[rows][..., pattern].reshape(np.count_nonzero(rows), -1).mean(axis=1)
    return ap


def curves_of(
    pool: Pool,
    matches: Matches,
    within: NDArray[np.bool_],
    labels: Sequence[int],
    thresholds: slice = ALL,
    group: int = 0,
    limit: int = COCO_LIMIT,
) -> Iterator[Curve]:
    """Yield the curve of each category.

    Args:
        pool: the images.
        matches: outcomes of the detections.
        within: (D, groups) an unmatched detection is wrong only in the groups that it is in.
        labels: of the categories.
        thresholds: the part of IOU_THRESHOLDS.
        group: the range of areas or other group.
        limit: the best detections of each image and category that count.
    """
    outcomes = np.full((len(pool.labels), *matches.outcomes[:1, thresholds, group].shape[1:]), UNMATCHED, np.uint8)
    outcomes[matches.detections] = matches.outcomes[:, thresholds, group]
    images, truth_images = pool.images(), pool.truth_images()
    for label in labels:
        rows = pool.order[(pool.labels[pool.order] == label) & (pool.ranks[pool.order] < limit)]
        is_wrong = (outcomes[rows] == UNMATCHED) & within[rows, group, None]
        to_find = truth_images[~pool.truth_ignored[:, group] & (pool.truth_labels == label)]
        yield Curve(images[rows], outcomes[rows] == FOUND, is_wrong, to_find)
