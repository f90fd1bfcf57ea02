"""AP by groups of instances: by size in quantiles of one's own data, by crowding, and by truncation at the border.

Each group is measured as COCO measures a range of areas: instances of other groups are ignored, and a detection that
matches nothing is wrong only in the group that it would be in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from instseg.core.arrays import Floats, Rows
from instseg.core.categories import Categories
from instseg.core.types import ImageSize
from instseg.evaluation.bootstrap import curves_of
from instseg.evaluation.detection_limits import NO_LIMIT
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.image_details import Boxes, PlacedRecord
from instseg.evaluation.matching import Pool, match
from instseg.evaluation.resampling import Weights
from instseg.evaluation.weighted_curves import Curve, mean_aps

NUM_SIZES = 4
NEIGHBOURS = (0, 2)
"""The most neighbours of the first groups; the last has more."""
BORDER_PX = 1.0
"""Distance from the border of the image within which an instance counts as cut off by it."""


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


def by_size(images: Sequence[PlacedRecord], num_groups: int = NUM_SIZES) -> Groups:
    """Group by area, as many instances in each group as can be.

    Args:
        images: each once, sorted by image_id.
        num_groups: fewer are made where many instances are of one size.
    """
    areas = np.concatenate([np.zeros(0), *(one.record.truth_areas for one in images)])
    found = np.concatenate([np.zeros(0), *(one.record.masks.areas for one in images)])
    own = areas[~np.concatenate([np.zeros(0, np.bool_), *(one.record.truth_iscrowd for one in images)])]
    inner = np.arange(1, num_groups) / num_groups
    edges = np.unique(np.quantile(own, inner, method="inverted_cdf")) if own.size else np.zeros(0)
    edges = edges[edges < own.max(initial=0)]
    groups = (np.searchsorted(edges, each) for each in (areas, found))  # an area on an edge is below it
    return Groups("size", _size_names(edges), *groups)


def _size_names(edges: Floats) -> tuple[str, ...]:
    """Name the sizes by their edges, with as many digits as tell these apart."""
    if not edges.size:
        return ("all",)
    digits = next(digits for digits in range(18) if len({f"{edge:.{digits}f}" for edge in edges}) == len(edges))
    sizes = [f"{edge:,.{digits}f}" for edge in edges]
    between = (f"{low} to {high} px²" for low, high in pairwise(sizes))
    return (f"up to {sizes[0]} px²", *between, f"above {sizes[-1]} px²")


def by_crowding(images: Sequence[PlacedRecord]) -> Groups:
    """Group by the number of other instances of the image, of any category, whose boxes overlap one's own."""
    truths, detections = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one in images:
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


def by_border(images: Sequence[PlacedRecord]) -> Groups:
    """Group by whether an instance is cut off by the border of the image."""
    truths, detections = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for one in images:
        truths.append(_is_cut(one.truth_boxes, one.image_size))
        detections.append(_is_cut(one.boxes, one.image_size))
    return Groups("border", ("whole", "cut off by the border"), np.concatenate(truths), np.concatenate(detections))


def _is_cut(boxes: Boxes, image_size: ImageSize) -> Rows:
    limits = np.array(image_size[::-1]) - BORDER_PX
    is_cut = np.any((boxes[:, :2] <= BORDER_PX) | (boxes[:, 2:] >= limits), axis=1)
    return np.asarray(is_cut, dtype=np.int64)


@dataclass(eq=False, frozen=True, slots=True)
class GroupCurves:
    """Curves of one group of instances."""

    group: str
    num_instances: int  # crowds left out
    curves: list[Curve]  # one for each category


def group_curves(images: Sequence[PlacedRecord], groups: Groups, categories: Categories) -> Iterator[GroupCurves]:
    """Yield the curves of each group over all detections.

    Args:
        images: each once, sorted by image_id.
        groups: of their rows.
        categories: names of the labels 1...
    """
    places = np.arange(len(groups.names))
    within, is_own = groups.detections[:, None] == places, groups.truths[:, None] == places
    rows = Pool.of([one.record for one in images])
    is_crowd = rows.truth_iscrowd[:, None]
    rows = replace(rows, truth_ignored=is_crowd | ~is_own)
    matches = match(rows, rows.overlaps([one.record.masks for one in images]))
    labels, counts = range(1, len(categories) + 1), (is_own & ~is_crowd).sum(axis=0).tolist()
    for place, (name, count) in enumerate(zip(groups.names, counts, strict=True)):
        curves = curves_of(rows, matches, within, labels, group=place, limit=NO_LIMIT)
        yield GroupCurves(name, count, list(curves))


def breakdown(
    images: Sequence[PlacedRecord], groups: Groups, categories: Categories, drawn: Weights
) -> list[GroupNumbers]:
    """Measure the mask AP of each group.

    Args:
        images: each once, sorted by image_id.
        groups: of their rows.
        categories: names of the labels 1...
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    of_groups = group_curves(images, groups, categories)
    return [
        GroupNumbers(one.group, one.num_instances, estimates(partial(mean_aps, one.curves), drawn)[0])
        for one in of_groups
    ]
