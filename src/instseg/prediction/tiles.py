"""Tiles of a large image: overlapping windows of one size, and the core of each, which together cover the image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from instseg.core.types import ImageSize
from instseg.core.windows import Tile, Window

DEFAULT_OVERLAP = 0.2


def tiles_of(image_size: ImageSize, side: int, overlap: float) -> list[Tile]:
    """Cover an image with tiles, row by row.

    Tiles are spread evenly, so that neighbours overlap by at least what is asked for. An image that is narrower than a
    tile is covered by tiles of its own width.

    Args:
        image_size: (height, width) px.
        side: of a tile, px.
        overlap: least overlap of neighbours, as a fraction of the side, above 0 and at most 0.5.
    """
    height, width = image_size
    shared = max(1, round(side * overlap))
    down, across = _spans(height, side, shared), _spans(width, side, shared)
    return [
        Tile(
            Window(x.start, y.start, x.end, y.end),
            Window(x.core_start, y.core_start, x.core_end, y.core_end),
        )
        for y in down
        for x in across
    ]


class _Span(NamedTuple):
    """The extent of a tile along one axis, px."""

    start: int
    end: int
    core_start: int
    core_end: int


def _spans(length: int, side: int, shared: int) -> Sequence[_Span]:
    if length <= side:
        return [_Span(0, length, 0, length)]
    number = ceil((length - shared) / (side - shared))
    starts = [round(i * (length - side) / (number - 1)) for i in range(number)]
    middles = [(before + side + after) // 2 for before, after in pairwise(starts)]
    bounds = [0, *middles, length]
    return [_Span(start, start + side, *core) for start, core in zip(starts, pairwise(bounds), strict=True)]
