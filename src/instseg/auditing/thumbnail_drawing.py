"""Drawing of a thumbnail: a region of an image, with the shapes in question as lines."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Image, Polygon
from instseg.visualization.colours import Colour
from instseg.visualization.scaling import resized

SIDE_PX = 280
MARKED: Colour = (255, 45, 85)
OTHERS: Colour = (255, 214, 10)
OUTSIDE = 110  # gray of what lies beyond the image
SMALL_MARK_PX = 10  # a ring is drawn around what is smaller


def draw(image: Image, region: NDArray[np.float64], marked: Sequence[Polygon], others: Sequence[Polygon]) -> Image:
    """Draw a region of an image with polygons over it, as lines, so that shapes without any area are seen too.

    Args:
        image: (H, W, 3) uint8 RGB.
        region: (4,) xyxy in pixels of the image; it may reach beyond it.
        marked: polygons in question, in pixels of the image.
        others: polygons around them.

    Returns:
        (h, w, 3) uint8 RGB, its longer side SIDE_PX.
    """
    x1, y1, x2, y2 = np.floor(region[:2]).astype(int).tolist() + np.ceil(region[2:]).astype(int).tolist()
    scale = SIDE_PX / max(x2 - x1, y2 - y1)
    crop = _crop(image, x1, y1, x2, y2)
    canvas = resized(crop, (max(1, round((y2 - y1) * scale)), max(1, round((x2 - x1) * scale))))
    for polygons, colour, thickness in ((others, OTHERS, 1), (marked, MARKED, 2)):
        for polygon in polygons:
            _draw_polygon(canvas, (polygon - (x1, y1)) * scale, colour, thickness)
    return canvas


def _crop(image: Image, x1: int, y1: int, x2: int, y2: int) -> Image:
    height, width = image.shape[:2]
    if min(x1, y1) >= 0 and x2 <= width and y2 <= height:
        return image[y1:y2, x1:x2]
    crop = np.full((y2 - y1, x2 - x1, 3), OUTSIDE, dtype=np.uint8)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    if left < right and top < bottom:
        crop[top - y1 : bottom - y1, left - x1 : right - x1] = image[top:bottom, left:right]
    return crop


def _draw_polygon(canvas: Image, polygon: Polygon, colour: Colour, thickness: int) -> None:
    """Draw a closed line on a dark rim, which keeps it apart from any image."""
    limit = 20.0 * SIDE_PX  # OpenCV's coordinates are whole sixteenths in 32 bits
    points = np.round(np.clip(polygon, -limit, limit) * 16 - 8).astype(np.int32)
    for ink, width in (((20, 20, 20), thickness + 2), (colour, thickness)):
        smooth = cv2.LINE_AA if width > 1 else cv2.LINE_8  # a smoothed line of one pixel loses its colour
        cv2.polylines(canvas, [points], True, ink, width, smooth, shift=4)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if thickness > 1 and (high - low).max() < SMALL_MARK_PX:
        centre = np.round(np.clip((low + high) / 2, 0, SIDE_PX)).astype(int).tolist()
        cv2.circle(canvas, centre, 2 * SMALL_MARK_PX, colour, thickness, cv2.LINE_AA)
