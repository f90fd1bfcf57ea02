"""Instances as single tiles show them, and how well two of them agree where their tiles overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import rle_to_box, rle_to_crop
from instseg.core.types import Bitmask, ImageSize, Prediction, Rle
from instseg.core.windows import Tile, Window

MIN_IOU, MIN_CONTAINED = 0.5, 0.8
"""In the overlap of two tiles: the least IoU of masks of one object, and the least part of the smaller one within the
larger where its tile cuts it off."""
NUM_DECODED = 64
"""Masks that are kept decoded while they are compared."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An instance that was found in a tile, in px of the image but for its mask."""

    tile: int
    position: int  # in the prediction of the tile
    label: int
    score: float
    box: NDArray[np.float64]  # (4,) xyxy, as predicted
    extent: Window  # around its mask
    rle: Rle  # of the tile's size
    is_cut: bool  # by a side of its tile that is no side of the image

    def seen_in(self, window: Window) -> Bitmask | None:
        """Cut its mask to a window; None where its box does not meet it."""
        part = self.extent.common(window)
        if part is None:
            return None
        place = part.within(self.extent)
        return _decoded(self.rle["counts"], *self.rle["size"])[place.top : place.bottom, place.left : place.right]


@lru_cache(NUM_DECODED)
def _decoded(counts: bytes, height: int, width: int) -> Bitmask:
    """Decode a mask, which is compared with one after another: the last ones are kept."""
    crop, _ = rle_to_crop(Rle(size=[height, width], counts=counts))
    crop.setflags(write=False)
    return crop


def pieces_of(number: int, tile: Tile, found: Prediction, image_size: ImageSize, margin: float) -> list[Piece]:
    """Return what was found in a tile in px of the image.

    Args:
        number: position of the tile among those of the image.
        tile: the tile.
        found: in px of the tile.
        image_size: (height, width) px of the image.
        margin: px from a side of the tile within which an instance counts as cut off there.
    """
    corner = np.array([tile.window.left, tile.window.top] * 2)
    pieces = []
    for position, rle in enumerate(found.rles):
        box, extent = found.boxes[position].astype(np.float64) + corner, rle_to_box(rle) + corner
        is_cut = any(_is_cut(each, tile.window, image_size, margin) for each in (box, extent))
        label, score = int(found.labels[position]), float(found.scores[position])
        pieces.append(Piece(number, position, label, score, box, Window(*map(int, extent)), rle, is_cut))
    return pieces


def _is_cut(box: NDArray[np.float64], window: Window, image_size: ImageSize, margin: float) -> bool:
    height, width = image_size
    is_near = (box[0] - window.left <= margin, box[1] - window.top <= margin,
               window.right - box[2] <= margin, window.bottom - box[3] <= margin)  # fmt: skip
    is_inner = window.left > 0, window.top > 0, window.right < width, window.bottom < height
    return any(near and inner for near, inner in zip(is_near, is_inner, strict=True))


def candidates(some: Sequence[Piece], others: Sequence[Piece], common: Window) -> Iterator[tuple[Piece, Piece]]:
    """Yield pairs of one category whose boxes meet in the overlap of their tiles.

    Args:
        some: pieces of one tile.
        others: those of the other tile.
        common: the overlap.
    """
    inside = [(b, part) for b in others if (part := b.extent.common(common)) is not None]
    for a in some:
        if (own := a.extent.common(common)) is not None:
            yield from ((a, b) for b, part in inside if a.label == b.label and own.common(part) is not None)


def agreement(a: Piece, b: Piece, common: Window) -> float:
    """Return the IoU of two masks in the overlap of their tiles, 0 where they are not of one object.

    Args:
        a: a piece of one tile.
        b: one of the other tile, whose box meets that of ``a`` in the overlap.
        common: the overlap.
    """
    areas = [np.count_nonzero(seen) if (seen := piece.seen_in(common)) is not None else 0 for piece in (a, b)]
    meeting = a.extent.common(common)
    both_extents = None if meeting is None else meeting.common(b.extent)
    if both_extents is None:
        return 0.0
    first, second = a.seen_in(both_extents), b.seen_in(both_extents)
    both = 0 if first is None or second is None else np.count_nonzero(first & second)
    if not both:
        return 0.0
    iou, smaller = both / (sum(areas) - both), a if areas[0] <= areas[1] else b
    is_one = iou >= MIN_IOU or (smaller.is_cut and both / min(areas) >= MIN_CONTAINED)
    return iou if is_one else 0.0
