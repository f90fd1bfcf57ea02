"""Simplification of the right-angled rings that a mask's pixels have, as a person would draw them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Polygon

Part = list[Polygon]
"""A connected part of a mask: its outer ring, then those of its holes."""

MIN_SHARP_SIDE_PX = 3
"""Straight sides of at least this length meet in a corner; shorter ones are the steps of a slope."""
FLATTEST, STEP_PX = 0.7, 1.0
"""Largest tolerance for a ring, in its area over its length, which is half the width of what is thin; and the tolerance
that the steps of a slope need in any case."""
MAX_AREA_CHANGE = 0.25
"""Fraction of its area that a ring may lose or gain, however small it is beside others: or else it stays as it is."""
MIN_SINE = 0.2
"""Sine of the angle between two sides from which on they are moved to where their lines meet."""


def without_crumbs(parts: Sequence[Part], max_crumbs: float, max_pinholes: float) -> list[Part]:
    """Leave out the smallest parts and the smallest holes.

    Args:
        parts: at least one.
        max_crumbs: fraction of the area of all parts that the left out ones may have together.
        max_pinholes: fraction of it that the filled holes may have together.
    """
    areas = np.array([_net_area(part) for part in parts])
    whole = areas.sum()
    kept = [part for part, is_kept in zip(parts, _is_kept(areas, max_crumbs * whole), strict=True) if is_kept]
    holes = np.array([_area(hole) for _, *holes in kept for hole in holes])
    stays = iter(_is_kept(holes, max_pinholes * whole).tolist())
    return [[outer, *(hole for hole in holes if next(stays))] for outer, *holes in kept]


def _net_area(part: Part) -> float:
    outer, *holes = (_area(ring) for ring in part)
    return outer - sum(holes)


def _area(ring: Polygon) -> float:
    return cv2.contourArea(ring.astype(np.float32))


def _is_kept(areas: NDArray[np.float64], room: float) -> NDArray[np.bool_]:
    """Return False for the smallest areas whose sum fits into the room."""
    is_kept = np.ones(len(areas), np.bool_)
    order = np.argsort(areas, kind="stable")
    is_kept[order[np.cumsum(areas[order]) <= room]] = False
    return is_kept


def simplified(ring: Polygon, tolerance_px: float) -> Polygon:
    """Drop points of a ring (Douglas & Peucker, 1973), and move the rest so that each side keeps its area.

    Steps become slopes before, because the corners that a simplification picks from a staircase lie on one side of it.

    Args:
        ring: (P, 2) with right angles, px. A rectangle stays as it is.
        tolerance_px: largest distance between a dropped point and its side.
    """
    if len(ring) == 4:
        return ring
    points = _slopes(ring).astype(np.float32)
    area = _area(ring)
    flattest = max(STEP_PX, FLATTEST * area / cv2.arcLength(points, True))
    kept = cv2.approxPolyDP(points, min(tolerance_px, flattest), True)[:, 0]
    simple: Polygon = kept.astype(np.float64)
    places = np.flatnonzero(np.isin(_as_complex(points), _as_complex(np.asarray(kept, np.float32))))
    if len(places) == len(kept) >= 3:  # a ring that touches itself has points twice: nothing says which of them it was
        simple = _balanced(points.astype(np.float64), places)
    return simple if len(simple) >= 3 and abs(_area(simple) - area) <= MAX_AREA_CHANGE * area else ring


def _as_complex(points: NDArray[np.floating]) -> NDArray[np.complexfloating]:
    return points[:, 0] + 1j * points[:, 1]


def _slopes(corners: Polygon) -> Polygon:
    """Turn the steps of a right-angled ring into slopes through the middle of the pixels' edges."""
    side = np.roll(corners, -1, axis=0) - corners
    length = np.abs(side).sum(axis=1, keepdims=True)
    half = side / length / 2
    sharp = (np.minimum(length, np.roll(length, 1)) >= MIN_SHARP_SIDE_PX)[:, 0]
    points = np.stack([corners, corners + half, corners + side - half], axis=1)
    wanted = np.stack([sharp, np.ones_like(sharp), length[:, 0] > 1], axis=1)
    slopes: Polygon = points[wanted]
    return slopes


def _balanced(points: Polygon, kept: NDArray[np.intp]) -> Polygon:
    """Move each side so far that what it cuts off equals what it adds, and return the points where the sides meet.

    The points that Douglas and Peucker keep lie on the ring, so their sides cut off all that bulges: at the same
    number of points the area is too small. Where two sides are nearly in line, their common point moves by the mean.

    Args:
        points: (S, 2) the ring.
        kept: (K,) ascending places of the points that are kept.
    """
    begin, end = points[kept], np.roll(points[kept], -1, axis=0)
    side = end - begin
    length = np.maximum(np.hypot(*side.T), 1e-9)
    normal = np.stack([side[:, 1], -side[:, 0]], axis=1) / length[:, None]
    shift: NDArray[np.float64] = (_swept(points, kept) + _cross(end, begin)) / 2 / length
    before, shift_before = np.roll(normal, 1, axis=0), np.roll(shift, 1)
    sine = _cross(before, normal)
    meets = np.abs(sine) > MIN_SINE
    mean = (shift_before[:, None] * before + shift[:, None] * normal) / 2
    meeting = shift_before[:, None] * _turned(normal) - shift[:, None] * _turned(before)
    moved: Polygon = begin + np.where(meets[:, None], meeting / np.where(meets, sine, 1)[:, None], mean)
    return moved


def _swept(points: Polygon, kept: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (K,) twice the area that the ring sweeps around the origin from each kept point to the next."""
    sums = np.concatenate([[0.0], np.cumsum(_cross(points, np.roll(points, -1, axis=0)))])
    swept: NDArray[np.float64] = np.roll(sums[kept], -1) - sums[kept]
    swept[-1] += sums[-1]  # around the end of the list
    return swept


def _cross(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return areas


def _turned(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn vectors by a quarter."""
    return np.stack([vectors[:, 1], -vectors[:, 0]], axis=1)
