"""Crossings of polygons with themselves, counted for all polygons at once by a sweep over their edges in x."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instseg.auditing.ranges import ranges

PAIRS_AT_ONCE = 2_000_000
MAX_PAIRS = 20_000_000
"""Pairs of edges in one polygon, beyond which it is not examined. Real ones of 10,000 points have a tenth of it."""

Segments = NDArray[np.float64]
"""(S, 4) x1, y1, x2, y2."""


def count_crossings(points: NDArray[np.float64], part_sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the pairs of edges that cross in each polygon.

    Edges that only touch do not cross: polygons with a seam to a hole, or along the border, are as they should be.

    Args:
        points: (V, 2) vertices of the polygons, one polygon after another, px.
        part_sizes: (P,) vertices of each polygon.

    Returns:
        (P,) counts; -1 for a polygon that is too large to tell.
    """
    segments, parts = _edges(points, part_sizes)
    order = np.lexsort((np.minimum(segments[:, 0], segments[:, 2]), parts))
    segments, parts = segments[order], parts[order]
    num_after = _num_overlapping(segments, parts)
    num_pairs = np.bincount(parts, num_after, minlength=len(part_sizes))
    too_large = num_pairs > MAX_PAIRS
    num_after[too_large[parts]] = 0
    crossings = np.zeros(len(part_sizes), dtype=np.int64)
    for first, second in _pairs(num_after):
        found = first[_cross(segments[first], segments[second])]
        crossings += np.bincount(parts[found], minlength=len(part_sizes))
    crossings[too_large] = -1
    return crossings


def _edges(points: NDArray[np.float64], part_sizes: NDArray[np.int64]) -> tuple[Segments, NDArray[np.int64]]:
    """List all edges, the closing ones too, and the polygon (S,) of each."""
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum(part_sizes)[part_sizes > 0]
    following[ends - 1] = ends - part_sizes[part_sizes > 0]
    return np.hstack([points, points[following]]), np.repeat(np.arange(len(part_sizes)), part_sizes)


def _num_overlapping(segments: Segments, parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count for each edge (S,) those behind it in the same polygon that begin before it ends in x."""
    low, high = np.minimum(segments[:, 0], segments[:, 2]), np.maximum(segments[:, 0], segments[:, 2])
    # Polygons laid side by side, so that one sorted line holds all beginnings. A gap keeps rounding from joining them.
    width = float(high.max(initial=0) - low.min(initial=0)) + 1
    offset = parts * width - low.min(initial=0)
    behind = np.searchsorted(low + offset, high + offset, side="right")
    return np.asarray(np.maximum(behind - np.arange(1, len(parts) + 1), 0))


def _pairs(num_after: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield each edge with every overlapping one behind it, a bounded number of pairs at a time."""
    total = np.cumsum(num_after)
    start = 0
    while start < len(num_after):
        before = int(total[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + PAIRS_AT_ONCE, side="right")))
        first = np.repeat(np.arange(start, end), num_after[start:end])
        yield first, ranges(np.arange(start, end) + 1, num_after[start:end])
        start = end


def _cross(one: Segments, other: Segments) -> NDArray[np.bool_]:
    """Tell whether the ends of each lie strictly on both sides of the other."""
    overlap = np.minimum(one[:, 1], one[:, 3]) < np.maximum(other[:, 1], other[:, 3])
    overlap &= np.minimum(other[:, 1], other[:, 3]) < np.maximum(one[:, 1], one[:, 3])
    crossing = np.zeros(len(one), dtype=np.bool_)
    one, other = one[overlap], other[overlap]
    crossing[overlap] = _separates(one, other) & _separates(other, one)
    return crossing


def _separates(line: Segments, ends: Segments) -> NDArray[np.bool_]:
    return _side(line, ends[:, :2]) * _side(line, ends[:, 2:]) < 0


def _side(line: Segments, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 on one side of the line, -1 on the other, 0 on it or nearer than rounding can tell."""
    along, towards = line[:, 2:] - line[:, :2], point - line[:, :2]
    one, other = along[:, 0] * towards[:, 1], along[:, 1] * towards[:, 0]
    area = one - other
    area[np.abs(area) <= 1e-12 * (np.abs(one) + np.abs(other))] = 0
    return np.sign(area)
