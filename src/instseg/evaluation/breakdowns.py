"""AP by groups of instances: by size in quantiles of one's own data, by crowding, and by truncation at the border.

Each group is measured as COCO measures a range of areas: instances of other groups are ignored, and a detection that
matches nothing is wrong only in the group that it would be in itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.types import ImageSize
from instseg.evaluation.bootstrap import CHUNK, Weights, curves_of
from instseg.evaluation.detection_limits import NO_LIMIT
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.image_details import Boxes, DetailsPool
from instseg.evaluation.matching import match
from instseg.evaluation.weighted_curves import Curve, weighted_precisions

NUM_SIZES = 4
NEIGHBOURS = (0, 2)
"""The most neighbours of the first groups; the last has more."""
BORDER_PX = 1.0
"""Distance from the border of the image within which an instance counts as cut off by it."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(eq=False, frozen=True, slots=True)
class Groups:
    """Groups of the instances and detections of a pool."""

    title: str
    names: tuple[str, ...]
    truths: Rows  # (G,) group of each instance
    detections: Rows  # (D,) group that each detection would be in


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """Mask AP of one group over all its detections."""

    group: str
    num_instances: int  # crowds left out
    ap: Estimate  # over IoU 0.50:0.95; NaN where there is no instance
    ap50: Estimate


def by_size(pool: DetailsPool, num_groups: int = NUM_SIZES) -> Groups:
    """Group by area, as many instances in each group as can be.

    Args:
        pool: the images.
        num_groups: fewer are made where many instances are of one size.
    """
    areas = np.concatenate([np.zeros(0), *(one.record.truth_areas for one in pool.details)])
    own = areas[~pool.rows.truth_iscrowd]
    inner = np.arange(1, num_groups) / num_groups
    edges = np.unique(np.quantile(own, inner, method="inverted_cdf")) if own.size else np.zeros(0)
    edges = edges[edges < own.max(initial=0)]
    groups = (np.searchsorted(edges, each) for each in (areas, pool.near.areas))  # an area on an edge is below it
    return Groups("size", _size_names(edges), *groups)


def _size_names(edges: Floats) -> tuple[str, ...]:
    if not edges.size:
        return ("all",)
    sizes = [f"{edge:,.0f}" for edge in edges]
    between = (f"{low} to {high} px²" for low, high in pairwise(sizes))
    return (f"up to {sizes[0]} px²", *between, f"above {sizes[-1]} px²")


def by_crowding(pool: DetailsPool) -> Groups:
    """Group by the number of other instances of the image, of any category, whose boxes overlap one's own."""
    truths, detections = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one in pool.details:
        truths.append(_num_neighbours(one.truth_boxes, one.truth_boxes))
        detections.append(_num_neighbours(one.boxes, one.truth_boxes))
    names = ("alone", "1 or 2 neighbours", "3 or more neighbours")
    groups = (np.searchsorted(NEIGHBOURS, np.concatenate(numbers)) for numbers in (truths, detections))
    return Groups("crowding", names, *groups)


def _num_neighbours(boxes: Boxes, truth_boxes: Boxes) -> Rows:
    """Count the instances that overlap each box, less the one that the box is of."""
    top_left = np.maximum(boxes[:, None, :2], truth_boxes[:, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], truth_boxes[:, 2:])
    overlaps = (bottom_right > top_left).all(axis=2).sum(axis=1)
    neighbours: Rows = np.maximum(overlaps - 1, 0)
    return neighbours


def by_border(pool: DetailsPool) -> Groups:
    """Group by whether an instance is cut off by the border of the image."""
    truths, detections = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one in pool.details:
        truths.append(_is_cut(one.truth_boxes, one.image_size))
        detections.append(_is_cut(one.boxes, one.image_size))
    return Groups("border", ("whole", "cut off by the border"), np.concatenate(truths), np.concatenate(detections))


def _is_cut(boxes: Boxes, image_size: ImageSize) -> Rows:
    limits = np.array(image_size[::-1]) - BORDER_PX
    is_cut = np.any((boxes[:, :2] <= BORDER_PX) | (boxes[:, 2:] >= limits), axis=1)
    return np.asarray(is_cut, dtype=np.int64)


def breakdown(pool: DetailsPool, groups: Groups, categories: Categories, drawn: Weights) -> list[GroupNumbers]:
    """Measure the mask AP of each group.

    Args:
        pool: the images.
        groups: of its rows.
        categories: names of the labels 1...
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    places = np.arange(len(groups.names))
    within, is_own = groups.detections[:, None] == places, groups.truths[:, None] == places
    is_crowd = pool.rows.truth_iscrowd[:, None]
    rows = replace(pool.rows, truth_ignored=is_crowd | ~is_own)
    matches = match(rows, rows.overlaps([one.record.masks for one in pool.details]))
    labels, counts = range(1, len(categories) + 1), (is_own & ~is_crowd).sum(axis=0).tolist()
    numbers: list[GroupNumbers] = []
    for place, (name, count) in enumerate(zip(groups.names, counts, strict=True)):
        curves = list(curves_of(rows, matches, within, labels, group=place, limit=NO_LIMIT))
        ap, ap50 = estimates(partial(_aps, curves), drawn)
        numbers.append(GroupNumbers(name, count, ap, ap50))
    return numbers


def _aps(curves: Sequence[Curve], weights: Weights) -> Floats:
    """Return AP over all IoU thresholds and at the lowest, (resamples, 2)."""
    step = max(1, CHUNK // max([1, *(len(curve.images) for curve in curves)]))
    return np.concatenate([_aps_of(curves, weights[start : start + step]) for start in range(0, len(weights), step)])


def _aps_of(curves: Sequence[Curve], weights: Weights) -> Floats:
    total, number = np.zeros((len(weights), 2)), np.zeros((len(weights), 1))
    for curve in curves:
        precisions = weighted_precisions(curve, weights)
        is_there = precisions[:, 0, :1] > -1
        total += np.where(is_there, np.stack([precisions.mean(axis=(1, 2)), precisions[:, 0].mean(axis=1)], 1), 0)
        number += is_there
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
