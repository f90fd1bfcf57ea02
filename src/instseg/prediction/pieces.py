"""Instances as single tiles show them, and how well two of them agree where their tiles overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import rle_to_bitmask, rle_to_box, rle_to_crop
from instseg.core.types import Bitmask, ImageSize, Prediction, Rle
from instseg.core.windows import Tile, Window

MIN_IOU, MIN_CONTAINED = 0.5, 0.8
"""In the overlap of two tiles: the least IoU of masks of one object, and the least part of the smaller one within the
larger where its tile cuts it off."""
NUM_KEPT, MAX_KEPT_PX = 4096, 256 * 256
"""So many masks stay decoded while they are compared, of those whose box has at most so many pixels."""
SMALL_TILE_PX = 512 * 512
"""A tile of so many pixels is decoded faster than the box of a mask in it."""


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

    @property
    def crop(self) -> Bitmask:
        """The pixels of its mask within its extent, not to be written to."""
        (height, width), (rows, columns) = self.rle["size"], self.extent.size
        decode = _kept if rows * columns <= MAX_KEPT_PX else _decoded
        return decode(self.rle["counts"], height, width)

    def seen_in(self, window: Window) -> Bitmask:
        """Cut its mask to a window, which must meet its extent."""
        part = self.extent.common(window)
        assert part is not None
        place = part.within(self.extent)
        return self.crop[place.top : place.bottom, place.left : place.right]


def _decoded(counts: bytes, height: int, width: int) -> Bitmask:
    rle = Rle(size=[height, width], counts=counts)
    if height * width <= SMALL_TILE_PX:
        left, top, right, bottom = map(int, rle_to_box(rle))
        crop = np.ascontiguousarray(rle_to_bitmask(rle)[top:bottom, left:right])
    else:
        crop, _ = rle_to_crop(rle)
    crop.setflags(write=False)
    return crop


_kept = lru_cache(NUM_KEPT)(_decoded)


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


def agreements(some: Sequence[Piece], others: Sequence[Piece], common: Window) -> Iterator[tuple[float, Piece, Piece]]:
    """Yield the pairs of pieces that are of one object, with the IoU of their masks in the overlap of their tiles.

    Args:
        some: pieces of one tile.
        others: those of the other tile.
        common: the overlap.
    """
    own, their = _seen(some, common), _seen(others, common)
    for a, b in np.argwhere(_may_agree(own, their)):
        if iou := _agreement(own[a], their[b]):
            yield iou, own[a].piece, their[b].piece


@dataclass(frozen=True, slots=True)
class _Seen:
    """A piece in the overlap of two tiles."""

    piece: Piece
    part: Window
    area: int
    """Pixels of its mask there."""


def _seen(pieces: Sequence[Piece], common: Window) -> list[_Seen]:
    parts = [(piece, part) for piece in pieces if (part := piece.extent.common(common)) is not None]
    seen = [_Seen(piece, part, int(np.count_nonzero(piece.seen_in(part)))) for piece, part in parts]
    return [one for one in seen if one.area]


def _may_agree(own: Sequence[_Seen], their: Sequence[_Seen]) -> NDArray[np.bool_]:
    """Tell of (N, M) pairs which may be of one object: two masks share no more pixels than their boxes do."""
    if not own or not their:
        return np.zeros((len(own), len(their)), np.bool_)
    boxes, other_boxes = (np.array([one.part for one in side]) for side in (own, their))
    corners = np.maximum(boxes[:, None, :2], other_boxes[:, :2]), np.minimum(boxes[:, None, 2:], other_boxes[:, 2:])
    areas, other_areas = (np.array([one.area for one in side]) for side in (own, their))
    smaller = np.minimum(areas[:, None], other_areas)
    both = np.minimum((corners[1] - corners[0]).clip(0).prod(2), smaller)
    is_cut, other_is_cut = (np.array([one.piece.is_cut for one in side]) for side in (own, their))
    is_cut = np.where(areas[:, None] <= other_areas, is_cut[:, None], other_is_cut)
    labels, other_labels = (np.array([one.piece.label for one in side]) for side in (own, their))
    iou = both / (areas[:, None] + other_areas - both)
    is_close = (iou >= MIN_IOU) | (is_cut & (both / smaller >= MIN_CONTAINED))
    may_agree: NDArray[np.bool_] = is_close & (labels[:, None] == other_labels)
    return may_agree


def _agreement(a: _Seen, b: _Seen) -> float:
    """Return the IoU of two masks in the overlap of their tiles, 0 where they are not of one object."""
    meeting = a.part.common(b.part)
    if meeting is None:
        return 0.0
    both = np.count_nonzero(a.piece.seen_in(meeting) & b.piece.seen_in(meeting))
    iou, smaller = both / (a.area + b.area - both), a if a.area <= b.area else b
    is_one = iou >= MIN_IOU or (smaller.piece.is_cut and both / smaller.area >= MIN_CONTAINED)
    return iou if is_one else 0.0
