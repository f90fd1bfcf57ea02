"""Conversion of a bitmask to polygons that a person can edit and that give the mask back when they are drawn.

Polygons follow the outer edges of a mask's pixels; contours through pixel centres would take off half a pixel all
around. Steps become slopes before points are dropped, because the corners that a simplification picks from a staircase
lie on one side of it. The result is drawn and compared with the mask; a mask that is too small or too fine for it keeps
the edges of its pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.masks import bitmask_to_rle, polygon_area, polygons_to_rle
from instseg.core.types import Bitmask, Polygon

MIN_IOU = 0.98
"""Least IoU of the drawn polygons with their mask; below it fewer points are dropped."""
NUM_TRIES, FINER = 7, 0.8
"""Number of attempts and factor of the tolerance from one to the next; after the last, pixel edges are used."""
MAX_PAIRS = 1_000_000
"""Pairs of vertices compared at a time: 16 MB."""
MIN_SHARP_SIDE_PX = 3
"""Straight sides of at least this length meet in a corner; shorter ones are the steps of a slope."""


def bitmask_to_polygons(bitmask: Bitmask, tolerance_px: float = 1.0) -> list[Polygon]:
    """Convert the connected parts of a mask to one polygon each.

    Pixels that touch at a corner are connected. A hole is joined to the contour around it by a seam of zero width: the
    polygon has the area of the ring under the even-odd and under the winding rule. Drawn again, the polygons agree with
    the mask to an IoU of at least MIN_IOU; where no simpler ones do, they follow the edges of the pixels.

    Args:
        bitmask: (H, W) of 0 and 1.
        tolerance_px: largest distance between the simplified and the true contour; parts and holes that vanish in it
            are left out. 0 gives the edges of the pixels.

    Returns:
        Polygons in continuous pixels, largest first; none for an empty mask.
    """
    crop, corner = _crop(bitmask)
    parts = _trace(crop)
    for tolerance in [tolerance_px * FINER**attempt for attempt in range(NUM_TRIES)] if tolerance_px > 0 else []:
        simplified = [kept for part in parts if (kept := _simplified(part, tolerance))]
        polygons = [join_polygons(part) for part in simplified]
        if polygons and _agreement(polygons, crop) >= MIN_IOU:
            break
    else:
        polygons = [join_polygons(part) for part in parts]
    return [polygon + corner for polygon in sorted(polygons, key=polygon_area, reverse=True)]


def pixel_polygons(bitmask: Bitmask) -> list[Polygon]:
    """Trace the edges of a mask's pixels (H, W); polygons of holes run the other way around."""
    crop, corner = _crop(bitmask)
    return [ring + corner for part in _trace(crop) for ring in part]


def join_polygons(polygons: Sequence[Polygon]) -> Polygon:
    """Join several polygons to one by seams of zero width, the nearest first; its area is their sum.

    For formats in which an instance has a single polygon. Polygons of holes run the other way around, and their area
    counts as negative.
    """
    if len(polygons) == 1:
        return polygons[0]
    points = np.concatenate(polygons)
    ring = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    seams = _seams(points, ring)
    order: list[int] = []
    waiting = np.flatnonzero(ring == 0)[::-1].tolist()
    while waiting:  # around the first; at each seam over to the other ring, around it and back
        point = waiting.pop()
        order.append(point)
        if seams.get(point):
            there = seams[point].pop()
            around = np.flatnonzero(ring == ring[there])
            around = np.roll(around, -int(np.flatnonzero(around == there)[0]))
            waiting += [point, there, *around[::-1].tolist()]
    return points[order]


def _seams(points: NDArray[np.float64], ring: NDArray[np.int64]) -> dict[int, list[int]]:
    """Find the shortest seams that connect all rings (Prim): point -> points that it is joined to."""
    seams: defaultdict[int, list[int]] = defaultdict(list)
    squared, nearest = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    outside = ring != 0
    latest = np.flatnonzero(~outside)
    while outside.any():
        waiting = np.flatnonzero(outside)
        for some in np.array_split(waiting, 1 + len(waiting) * len(latest) // MAX_PAIRS):
            gaps = ((points[some, None] - points[None, latest]) ** 2).sum(axis=2)
            closest = gaps.argmin(axis=1)
            found = gaps[np.arange(len(some)), closest]
            better = found < squared[some]
            squared[some[better]], nearest[some[better]] = found[better], latest[closest[better]]
        there = int(np.where(outside, squared, np.inf).argmin())
        seams[int(nearest[there])].append(there)
        latest = np.flatnonzero(ring == ring[there])
        outside[latest] = False
    return seams


def _crop(bitmask: Bitmask) -> tuple[Bitmask, NDArray[np.int64]]:
    """Cut a mask to its box, (0, 0) for an empty mask; returns the crop and x, y of its corner."""
    rows, columns = np.flatnonzero(bitmask.any(axis=1)), np.flatnonzero(bitmask.any(axis=0))
    if len(rows) == 0:
        return np.zeros((0, 0), np.uint8), np.zeros(2, np.int64)
    left, top = columns[0], rows[0]
    crop = bitmask[top : rows[-1] + 1, left : columns[-1] + 1]
    return np.ascontiguousarray(crop, dtype=np.uint8), np.array([left, top])


def _trace(bitmask: Bitmask) -> list[list[Polygon]]:
    """Trace each connected part: its outer ring and those of its holes along the edges of the pixels, corners only.

    In a lattice of twice the size plus one, corners of pixels are points of their own at even places and belong to the
    mask where they touch it: the contours of the lattice are the edges of the pixels.
    """
    if bitmask.size == 0:
        return []
    height, width = bitmask.shape
    lattice = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    lattice[1::2, 1::2] = bitmask
    lattice = cv2.dilate(lattice, np.ones((3, 3), np.uint8)).astype(np.uint8, copy=False)
    contours, hierarchy = cv2.findContours(lattice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts: dict[int, list[Polygon]] = {}
    around = [int(parent) for parent in np.asarray(hierarchy)[0, :, 3]]
    for number in sorted(range(len(contours)), key=lambda n: around[n] >= 0):  # outer ones first
        ring = _corners(np.asarray(contours[number])[:, 0].astype(np.int64))
        parts.setdefault(around[number] if around[number] >= 0 else number, []).append(ring)
    return list(parts.values())


def _corners(contour: NDArray[np.int64]) -> Polygon:
    """Return the points where a contour of the lattice turns, with inner corners, which the contour cuts, put back."""
    step = np.roll(contour, -1, axis=0) - contour
    cuts = np.flatnonzero((step != 0).all(axis=1))
    between = contour[cuts] + step[cuts] * (contour[cuts] % 2 != 0)
    whole = np.insert(contour, cuts + 1, between, axis=0)
    before, after = whole - np.roll(whole, 1, axis=0), np.roll(whole, -1, axis=0) - whole
    corners: Polygon = whole[(before != after).any(axis=1)] / 2.0
    return corners


def _simplified(part: Sequence[Polygon], tolerance: float) -> list[Polygon]:
    """Simplify a part; a hole that vanishes is left out, and the whole part with its outer ring."""
    outer, *holes = [_simplified_ring(ring, tolerance) for ring in part]
    return [ring for ring in (outer, *holes) if len(ring) >= 3] if len(outer) >= 3 else []


def _simplified_ring(ring: Polygon, tolerance: float) -> Polygon:
    """Simplify a ring (Douglas & Peucker, 1973); a rectangle stays as it is."""
    if len(ring) == 4:
        return ring if polygon_area(ring) > tolerance**2 else ring[:0]
    return cv2.approxPolyDP(_slopes(ring).astype(np.float32), tolerance, True)[:, 0].astype(np.float64)


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


def _agreement(polygons: Sequence[Polygon], bitmask: Bitmask) -> float:
    """Compute the IoU of the drawn polygons with the mask."""
    height, width = bitmask.shape
    drawn = polygons_to_rle(polygons, (height, width))
    return float(coco_mask.iou([drawn], [bitmask_to_rle(bitmask)], [0])[0, 0])
