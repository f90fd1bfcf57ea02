"""Which outlines cross themselves: all polygons at once, by a sweep over the x extents of their edges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instseg.audit.tables import ranges

PAIRS_AT_ONCE = 2_000_000
MAX_PAIRS = 20_000_000
"""Of one polygon. Real outlines of 10,000 points have a tenth of it; beyond, the polygon is not examined."""

Segments = NDArray[np.float64]
"""(S, 4) x1, y1, x2, y2."""


def count_crossings(points: NDArray[np.float64], part_sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P,) how many pairs of edges of each polygon cross; -1 for a polygon too large to tell.

    ``points`` (V, 2) holds the polygons one after another, ``part_sizes`` (P,) how many vertices each has. Edges that
    only touch do not cross: outlines with a seam to a hole, or along the border, are as they should be.
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
    """Every edge, the closing ones too, and the polygon (S,) that it belongs to."""
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum(part_sizes)[part_sizes > 0]
    following[ends - 1] = ends - part_sizes[part_sizes > 0]
    return np.hstack([points, points[following]]), np.repeat(np.arange(len(part_sizes)), part_sizes)


def _num_overlapping(segments: Segments, parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) how many of the edges behind each one, of the same polygon, begin before it ends in x."""
    low, high = np.minimum(segments[:, 0], segments[:, 2]), np.maximum(segments[:, 0], segments[:, 2])
    # Polygons laid side by side, so that one sorted line holds all beginnings. A gap keeps rounding from joining them.
    width = float(high.max(initial=0) - low.min(initial=0)) + 1
    offset = parts * width - low.min(initial=0)
    behind = np.searchsorted(low + offset, high + offset, side="right")
    return np.asarray(np.maximum(behind - np.arange(1, len(parts) + 1), 0))


def _pairs(num_after: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each edge with every one of those behind it that overlap, a bounded number of pairs at once."""
    total = np.cumsum(num_after)
    start = 0
    while start < len(num_after):
        before = int(total[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + PAIRS_AT_ONCE, side="right")))
        first = np.repeat(np.arange(start, end), num_after[start:end])
        yield first, ranges(np.arange(start, end) + 1, num_after[start:end])
        start = end


def _cross(one: Segments, other: Segments) -> NDArray[np.bool_]:
    """Whether the ends of each lie strictly on both sides of the other."""
    overlap = np.minimum(one[:, 1], one[:, 3]) < np.maximum(other[:, 1], other[:, 3])
    overlap &= np.minimum(other[:, 1], other[:, 3]) < np.maximum(one[:, 1], one[:, 3])
    crossing = np.zeros(len(one), dtype=np.bool_)
    one, other = one[overlap], other[overlap]
    crossing[overlap] = _separates(one, other) & _separates(other, one)
    return crossing


def _separates(line: Segments, ends: Segments) -> NDArray[np.bool_]:
    return _side(line, ends[:, :2]) * _side(line, ends[:, 2:]) < 0


def _side(line: Segments, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Above 0 at one side of the line, below at the other, 0 on it or nearer than rounding can tell."""
    along, towards = line[:, 2:] - line[:, :2], point - line[:, :2]
    one, other = along[:, 0] * towards[:, 1], along[:, 1] * towards[:, 0]
    area = one - other
    area[np.abs(area) <= 1e-12 * (np.abs(one) + np.abs(other))] = 0
    return np.sign(area)
