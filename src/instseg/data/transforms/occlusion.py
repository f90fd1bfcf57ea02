"""What is left of an outline behind the instances that were put on top of it, drawn into the frame of its own box.

Nothing is cut from outlines: the shapes that hide them move along with the image, and are left out in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import Bitmask, Box, polygons_to_box_mask, polygons_to_box_masks
from instseg.core.types import BOX_MASK_SIZE, Polygon
from instseg.data.transforms.cropping import Visible

MIN_BOX_SIDE_PX = 1.0

Drawn = tuple[NDArray[np.float64], NDArray[np.uint8]]
"""Box (4,) xyxy and box mask (M, M) of one instance."""


@dataclass(frozen=True, slots=True)
class Cover:
    """An instance on top, where it is now: it hides those at lower positions."""

    position: int
    box: Box
    draw: Callable[[Box, int], Bitmask]  # into the (size, size) frame of a box

    def hides(self, position: int, box: Box) -> bool:
        """Whether it may hide some of the instance at this position and place."""
        return self.position > position and bool((self.box[:2] < box[2:]).all() and (box[:2] < self.box[2:]).all())


def draw_outline(parts: Sequence[Polygon], box: Box, hiding: Sequence[Cover], min_share: float) -> Drawn | None:
    """Box and box mask of what the others leave of an outline, None below this share of it.

    parts: its polygons; box: (4,) xyxy around them; hiding: those that may lie before it. The box is tight around
    what is left, to the pixel, and exactly the outline's own where nothing is hidden.
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
            if num_left < min_share * num_whole or _is_thin(box):
                return None
            mask = _without(polygons_to_box_mask(parts, box, BOX_MASK_SIZE), box, hiding)
            return (box, mask) if mask.any() else None
    return box, polygons_to_box_mask(parts, box, BOX_MASK_SIZE)


def draw_outlines(outlines: Mapping[int, Visible]) -> dict[int, Drawn]:
    """Boxes and box masks of outlines that nothing hides, under the same keys; thin ones are left out."""
    wide = {key: outline for key, outline in outlines.items() if not _is_thin(outline.box)}
    boxes = np.array([outline.box for outline in wide.values()]).reshape(-1, 4)
    masks = polygons_to_box_masks([outline.parts for outline in wide.values()], boxes, BOX_MASK_SIZE)
    return dict(zip(wide, zip(boxes, masks, strict=True), strict=True))


def _is_thin(box: Box) -> bool:
    x1, y1, x2, y2 = box.tolist()
    return bool(x2 - x1 < MIN_BOX_SIDE_PX or y2 - y1 < MIN_BOX_SIDE_PX)


def _without(mask: Bitmask, box: Box, hiding: Sequence[Cover]) -> Bitmask:
    """A box mask (size, size) less what hides it."""
    left = mask.copy()
    for cover in hiding:
        left[cover.draw(box, len(mask)) > 0] = 0
    return left


def _tightened(box: Box, whole: Bitmask, left: Bitmask) -> Box:
    """``box``, the sides where the outline is hidden moved in; the others stay where its vertices are."""
    sides, sides_before = _sides(left), _sides(whole)
    cell = (box[2:] - box[:2]) / len(whole)
    return np.where(sides == sides_before, box, np.tile(box[:2], 2) + sides * np.tile(cell, 2))


def _sides(mask: Bitmask) -> NDArray[np.int64]:
    x, y, width, height = cv2.boundingRect(mask)
    return np.array([x, y, x + width, y + height])
