"""Conversion of a bitmask to polygons that a person can edit and that give the mask back when they are drawn.

Polygons follow the outer edges of a mask's pixels; contours through pixel centres would take off half a pixel all
around. Of the tolerances between an eighth of the instance and half a pixel, the largest is taken whose polygons, drawn
again, still agree with the mask; a mask that is too small or too fine for any keeps the edges of its pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.masks import bitmask_to_rle, polygon_area, polygons_to_rle, rle_to_crop
from instseg.core.simplification import Part, simplified, without_crumbs
from instseg.core.types import Bitmask, Polygon, Rle

MIN_IOU = 0.98
"""Least IoU of the drawn polygons with their mask."""
NUM_TOLERANCES = 31
COARSEST, FINEST_PX = 1 / 8, 0.5
"""Largest tolerance that is tried, as a fraction of the longer side of the instance, and the smallest."""
CRUMBS, PINHOLES = 1 / 2, 1 / 10
"""Parts of the area that the polygons may miss, ``1 - min_iou``, which small parts and small holes may have."""
MAX_PAIRS = 1_000_000
"""Pairs of vertices compared at a time: 16 MB."""


def bitmask_to_polygons(bitmask: Bitmask, min_iou: float = MIN_IOU) -> list[Polygon]:
    """Convert the connected parts of a mask to one polygon each, of as few points as the IoU allows.

    Pixels that touch at a corner are connected. A hole is joined to the contour around it by a seam of zero width: the
    polygon has the area of the ring under the even-odd and under the winding rule. Parts and holes that hardly count
    are left out.

    Args:
        bitmask: (H, W) of 0 and 1.
        min_iou: least IoU of the drawn polygons with the mask; 1 gives the edges of all pixels.

    Returns:
        Polygons in continuous pixels, largest first; none for an empty mask.
    """
    crop, corner = _crop(bitmask)
    parts = _trace(crop)
    polygons = [join_polygons(part) for part in parts]
    if parts and min_iou < 1:
        kept = without_crumbs(parts, CRUMBS * (1 - min_iou), PINHOLES * (1 - min_iou))
        polygons = _coarsest(kept, _with_margin(bitmask, crop, corner), np.minimum(corner, 1), min_iou)
    return [polygon + corner for polygon in sorted(polygons, key=polygon_area, reverse=True)]


def rle_to_polygons(rle: Rle, min_iou: float = MIN_IOU) -> list[Polygon]:
    """Convert a mask as ``bitmask_to_polygons`` does; the cost does not depend on the size of the image.

    Args:
        rle: of the image's size.
        min_iou: as there.
    """
    crop, (left, top) = rle_to_crop(rle)
    height, width = rle["size"]
    above, before = min(top, 1), min(left, 1)  # a margin where the image has one
    below, behind = min(height - top - crop.shape[0], 1), min(width - left - crop.shape[1], 1)
    with_margin = np.pad(crop, ((above, below), (before, behind)))
    corner = np.array([left - before, top - above])
    return [polygon + corner for polygon in bitmask_to_polygons(with_margin, min_iou)]


def _coarsest(parts: Sequence[Part], mask: Bitmask, origin: NDArray[np.int64], min_iou: float) -> list[Polygon]:
    """Search for the polygons of the largest tolerance that agree with the mask; else return the edges of its pixels.

    The IoU falls with the tolerance, though not at every step: the search halves the range, and what it returns holds.
    ``origin`` is the place (x, y) of the parts in the mask.
    """
    rle, height, width = bitmask_to_rle(mask), *mask.shape
    box = np.concatenate(list(chain(*parts))).max(axis=0)
    tolerances = np.geomspace(max(COARSEST * box.max(), FINEST_PX), FINEST_PX, NUM_TOLERANCES).tolist()
    best, low, high = [join_polygons(part) for part in parts], 0, NUM_TOLERANCES
    while low < high:
        middle = (low + high) // 2
        rings = [[simplified(ring, tolerances[middle]).clip(0, box) for ring in part] for part in parts]
        polygons = [join_polygons(part) for part in rings]
        drawn = polygons_to_rle([polygon + origin for polygon in polygons], (height, width))
        if coco_mask.iou([drawn], [rle], [0])[0, 0] >= min_iou:
            best, high = polygons, middle
        else:
            low = middle + 1
    return best


def pixel_polygons(bitmask: Bitmask) -> list[Polygon]:
    """Trace the edges of a mask's pixels (H, W); polygons of holes run the other way around."""
    crop, corner = _crop(bitmask)
    return [ring + corner for part in _trace(crop) for ring in part]


def connected_parts(bitmask: Bitmask) -> list[list[Polygon]]:
    """Trace the parts of a mask that hang together by edges of pixels, each as its outer ring and those of its holes.

    Pixels that touch at a corner are parts of their own, and so no ring meets itself: the polygons are valid in the
    sense of OGC's simple features.

    Args:
        bitmask: (H, W) of 0 and 1.

    Returns:
        Rings (P, 2) of each part in px, the outer one first.
    """
    crop, corner = _crop(bitmask)
    if crop.size == 0:
        return []
    count, numbered, boxes, _ = cv2.connectedComponentsWithStats(crop, connectivity=4)
    parts = []
    for number in range(1, count):
        x, y, width, height = map(int, boxes[number, :4])
        part = (numbered[y : y + height, x : x + width] == number).astype(np.uint8)
        parts.append([ring + corner + (x, y) for ring in _trace(part)[0]])
    return parts


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


def _with_margin(bitmask: Bitmask, crop: Bitmask, corner: NDArray[np.int64]) -> Bitmask:
    """Return the crop with a pixel around it where the image has one: polygons are drawn alike in it and in the image.

    They may cover a pixel beyond the box of the mask, which the border of a bare crop would hide.
    """
    (x, y), (height, width) = corner.tolist(), crop.shape
    return np.ascontiguousarray(bitmask[max(y - 1, 0) : y + height + 1, max(x - 1, 0) : x + width + 1], np.uint8)


def _crop(bitmask: Bitmask) -> tuple[Bitmask, NDArray[np.int64]]:
    """Cut a mask to its box, (0, 0) for an empty mask; returns the crop and x, y of its corner."""
    rows, columns = np.flatnonzero(bitmask.any(axis=1)), np.flatnonzero(bitmask.any(axis=0))
    if len(rows) == 0:
        return np.zeros((0, 0), np.uint8), np.zeros(2, np.int64)
    left, top = columns[0], rows[0]
    crop = bitmask[top : rows[-1] + 1, left : columns[-1] + 1]
    return np.ascontiguousarray(crop, dtype=np.uint8), np.array([left, top])


def _trace(bitmask: Bitmask) -> list[Part]:
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
