"""Objects that several tiles have found in part become one, by their masks.

Two tiles see the same pixels where they overlap: two masks there are of one object if they agree. An object that one
tile shows whole is taken from it. Of others each tile gives the part in its own core, so that every pixel comes from
the tile that shows most around it. A tile never gives one object twice: what it tells apart stays apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.box_masks import crop_to_rle
from instseg.core.masks import rle_area, rle_to_box
from instseg.core.types import Bitmask, ImageSize, Prediction, Rle
from instseg.core.windows import Tile
from instseg.prediction.pieces import Piece, agreements, pieces_of

MARGIN_PX = 2
"""Px in the network frame from the border of a tile within which an instance counts as cut off there."""


class TileMerger:
    """Collection of what is found in the tiles of one image.

    Memory grows with what is found, as run-lengths of the tiles' size, and not with the image.

    Args:
        tiles: of the image.
        image_size: (height, width) px.
        scale: px in the network frame per px of the image.
    """

    def __init__(self, tiles: Sequence[Tile], image_size: ImageSize, scale: float) -> None:
        self.tiles, self.image_size = tiles, image_size
        self._margin = MARGIN_PX / scale
        self._pieces: list[list[Piece]] = [[] for _ in tiles]

    def add(self, tile: int, found: Prediction) -> None:
        """Add what was found in a tile.

        Args:
            tile: its position among the tiles.
            found: in px of the tile.
        """
        self._pieces[tile] = pieces_of(tile, self.tiles[tile], found, self.image_size, self._margin)

    def merged(self, image_id: int) -> Prediction:
        """Return the instances of the whole image, best score first.

        Args:
            image_id: that the prediction gets.
        """
        groups = [group for group in _grouped(self._all(), self._agreements()) if not self._is_edge_artefact(group)]
        instances = sorted((self._instance(group) for group in groups), key=lambda instance: -instance[2])
        return Prediction(
            image_id,
            self.image_size,
            np.array([box for box, *_ in instances], np.float32).reshape(-1, 4),
            np.array([label for _, label, *_ in instances], np.int64),
            np.array([score for _, _, score, _ in instances], np.float32),
            [rle for *_, rle in instances],
        )

    def _all(self) -> list[Piece]:
        return [piece for pieces in self._pieces for piece in pieces]

    def _agreements(self) -> list[tuple[float, Piece, Piece]]:
        """Return the pairs of pieces that may be of one object, the surest first."""
        found: list[tuple[float, Piece, Piece]] = []
        for first, second in _neighbours(self.tiles):
            common = self.tiles[first].window.common(self.tiles[second].window)
            if common is not None:
                pairs = agreements(self._pieces[first], self._pieces[second], common)
                found += [(iou * a.score * b.score, a, b) for iou, a, b in pairs]
        return sorted(found, key=lambda pair: -pair[0])

    def _is_edge_artefact(self, group: Sequence[Piece]) -> bool:
        """Tell whether an instance was seen by one tile alone, cut off, while others show its place whole."""
        (piece, *others) = group
        return not others and piece.is_cut and piece.extent.common(self.tiles[piece.tile].core) is None

    def _instance(self, group: Sequence[Piece]) -> tuple[NDArray[np.float64], int, float, Rle]:
        """Return box, label, score and mask of an object."""
        score = max(piece.score for piece in group)
        whole = [piece for piece in group if not piece.is_cut]
        best = max(whole or group, key=lambda piece: piece.score)
        if not whole and len(group) > 1:
            mask: Rle = coco_mask.merge([self._own_part(piece, group) for piece in group])
            if rle_area(mask):  # else each part lay in the core of another that shows nothing there
                return rle_to_box(mask), best.label, score, mask
        return best.box, best.label, score, self._in_image(best.crop, best)

    def _own_part(self, piece: Piece, group: Sequence[Piece]) -> Rle:
        """Return the mask of a piece without the cores of the tiles of the others."""
        crop = piece.crop.copy()
        for other in group:
            if other is not piece and (part := piece.extent.common(self.tiles[other.tile].core)) is not None:
                of = part.within(piece.extent)
                crop[of.top : of.bottom, of.left : of.right] = 0
        return self._in_image(crop, piece)

    def _in_image(self, crop: Bitmask, piece: Piece) -> Rle:
        return crop_to_rle(crop.view(np.bool_), piece.extent.left, piece.extent.top, self.image_size)


def _neighbours(tiles: Sequence[Tile]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of tiles that may overlap: tiles are in rows, so those far below a tile need no look."""
    side = max((tile.window.size[0] for tile in tiles), default=0)
    for first, second in combinations(range(len(tiles)), 2):
        if tiles[second].window.top - tiles[first].window.top < side:
            yield first, second


def _grouped(pieces: Sequence[Piece], agreements: Sequence[tuple[float, Piece, Piece]]) -> list[list[Piece]]:
    """Join pieces of one object, the surest pairs first; two pieces of one tile are never joined."""
    groups = {(piece.tile, piece.position): [piece] for piece in pieces}
    for _, a, b in agreements:
        first, second = groups[a.tile, a.position], groups[b.tile, b.position]
        tiles = {piece.tile for piece in first}
        if first is not second and all(piece.tile not in tiles for piece in second):
            first += second
            groups |= {(piece.tile, piece.position): first for piece in second}
    return list({id(group): group for group in groups.values()}.values())
