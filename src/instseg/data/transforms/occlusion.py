"""Box masks of polygons, less what the instances that were put on top of them hide.

Nothing is cut from a polygon: the occluders move along with the image and are subtracted when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.box_masks import polygons_to_box_mask, polygons_to_box_masks
from instseg.core.types import BOX_MASK_SIZE, Bitmask, Box, Polygon

MIN_BOX_SIDE_PX = 1.0

Drawn = tuple[NDArray[np.float64], NDArray[np.uint8]]
"""Box (4,) xyxy and box mask (M, M) of one instance."""


@dataclass(frozen=True, slots=True)
class Cover:
    """An occluder where it is now: an instance that was put on top, and hides those at lower positions."""

    position: int
    box: Box
    draw: Callable[[Box, int], Bitmask]  # into the (size, size) frame of a box

    def hides(self, position: int, box: Box) -> bool:
        """Tell whether it may hide some of an instance below.

        Args:
            position: of the instance.
            box: (4,) xyxy of the instance.
        """
        return self.position > position and bool((self.box[:2] < box[2:]).all() and (box[:2] < self.box[2:]).all())


def draw_behind(parts: Sequence[Polygon], box: Box, hiding: Sequence[Cover], min_fraction: float) -> Drawn | None:
    """Draw what the occluders leave of one instance.

    Args:
        parts: its polygons, px.
        box: (4,) xyxy around them.
        hiding: the occluders that may lie before it.
        min_fraction: of its area, that must be left.

    Returns:
        Box and box mask, None where too little is left. The box is tight around what is left, to the pixel, and
        exactly ``box`` where nothing is hidden.
    """
    if _is_thin(box):
        return None
    if hiding:
        size = max(BOX_MASK_SIZE, int(np.ceil((box[2:] - box[:2]).max())))
        whole = polygons_to_box_mask(parts, box, size)
        left = _without(whole, box, hiding)
        num_whole, num_left = np.count_nonzero(whole), np.count_nonzero(left)
        if num_left < num_whole:
            box = _tightened(box, whole, left)
            if num_left < min_fraction * num_whole or _is_thin(box):
                return None
            mask = _without(polygons_to_box_mask(parts, box, BOX_MASK_SIZE), box, hiding)
            return (box, mask) if mask.any() else None
    return box, polygons_to_box_mask(parts, box, BOX_MASK_SIZE)


def draw_unhidden(shapes: Mapping[int, tuple[Sequence[Polygon], Box]]) -> dict[int, Drawn]:
    """Draw instances that nothing hides, all at once.

    Args:
        shapes: position -> the polygons of an instance, and the box (4,) xyxy around them.

    Returns:
        Position -> box and box mask; those of thin boxes are left out.
    """
    wide = {position: shape for position, shape in shapes.items() if not _is_thin(shape[1])}
    boxes = np.array([box for _, box in wide.values()]).reshape(-1, 4)
    masks = polygons_to_box_masks([parts for parts, _ in wide.values()], boxes, BOX_MASK_SIZE)
    return dict(zip(wide, zip(boxes, masks, strict=True), strict=True))


def _is_thin(box: Box) -> bool:
    x1, y1, x2, y2 = box.tolist()
    return bool(x2 - x1 < MIN_BOX_SIDE_PX or y2 - y1 < MIN_BOX_SIDE_PX)


def _without(mask: Bitmask, box: Box, hiding: Sequence[Cover]) -> Bitmask:
    """Return a box mask (size, size) less what hides it."""
    left = mask.copy()
    for cover in hiding:
        left[cover.draw(box, len(mask)) > 0] = 0
    return left


def _tightened(box: Box, whole: Bitmask, left: Bitmask) -> Box:
    """Return ``box`` with the sides that are hidden moved in; the others stay where the vertices are."""
    sides, sides_before = _sides(left), _sides(whole)
    cell = (box[2:] - box[:2]) / len(whole)
    return np.where(sides == sides_before, box, np.tile(box[:2], 2) + sides * np.tile(cell, 2))


def _sides(mask: Bitmask) -> NDArray[np.int64]:
    x, y, width, height = cv2.boundingRect(mask)
    return np.array([x, y, x + width, y + height])
