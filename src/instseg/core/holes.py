"""Polygons within polygons of one instance: some tools draw holes so, which COCO's union of all parts fills."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import polygon_area
from instseg.core.polygons import join_polygons
from instseg.core.types import Polygon

MAX_PARTS = 200
"""With more, as of foliage, nobody draws holes by hand, and every pair would be compared."""
MAX_POINTS = 64
"""Of a polygon that are looked up in another."""


def holes_of(parts: Sequence[Polygon]) -> dict[int, int]:
    """Return hole -> the part that it lies in, as positions; each hole's nearest part, which is no hole itself."""
    if not 1 < len(parts) <= MAX_PARTS:
        return {}
    around = {n: _around(n, parts) for n in range(len(parts))}
    areas = [polygon_area(part) for part in parts]
    return {n: min(outer, key=areas.__getitem__) for n, outer in around.items() if len(outer) % 2 == 1}


def _around(n: int, parts: Sequence[Polygon]) -> list[int]:
    """Return the parts that hold all of part n and are larger."""
    return [other for other, part in enumerate(parts) if other != n and lies_in(parts[n], part)]


def lies_in(inner: Polygon, outer: Polygon) -> bool:
    """Tell whether a polygon is smaller than another and inside it.

    Args:
        inner: (P, 2).
        outer: (Q, 2).
    """
    low, high = outer.min(axis=0), outer.max(axis=0)
    if (inner.min(axis=0) < low).any() or (inner.max(axis=0) > high).any():
        return False
    some = inner[:: max(1, len(inner) // MAX_POINTS)]
    return polygon_area(inner) < polygon_area(outer) and bool(_inside(some, outer).all())


def _inside(points: Polygon, polygon: Polygon) -> NDArray[np.bool_]:
    """Tell of each point (P,) whether it lies in the polygon, by the even-odd rule; its border is outside."""
    x, y = points[:, 0, None], points[:, 1, None]
    x1, y1 = polygon.T
    x2, y2 = np.roll(polygon, -1, axis=0).T
    crosses = (y1 <= y) != (y2 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x1 + (y - y1) / (y2 - y1) * (x2 - x1)
    return np.asarray((crosses & (x < at)).sum(axis=1) % 2 == 1)


def cut_holes(parts: Sequence[Polygon], holes: dict[int, int]) -> list[Polygon]:
    """Return the parts without their holes, each joined to its holes by seams of zero width.

    Args:
        parts: (P, 2) each.
        holes: see ``holes_of``.
    """
    inside = {n: [parts[hole] for hole, outer in holes.items() if outer == n] for n in range(len(parts))}
    return [with_holes(part, inside[n]) for n, part in enumerate(parts) if n not in holes]


def with_holes(exterior: Polygon, interiors: Sequence[Polygon]) -> Polygon:
    """Return one polygon that has the area of the exterior less that of the interiors.

    Args:
        exterior: (P, 2).
        interiors: (P, 2) each, within the exterior.
    """
    return join_polygons([_turned(exterior, 1), *(_turned(interior, -1) for interior in interiors)])


def _turned(polygon: Polygon, sign: int) -> Polygon:
    x, y = polygon.T
    signed = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    return polygon if signed * sign >= 0 else polygon[::-1]
