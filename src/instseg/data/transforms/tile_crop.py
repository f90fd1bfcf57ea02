"""Tiles cut out of large images to train on, at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.box_masks import crop_to_rle
from instseg.core.errors import InstsegError
from instseg.core.masks import clip_polygon, polygon_area, polygons_to_box, rle_area, rle_to_box, rle_to_crop
from instseg.core.types import Box, Image, ImageSize, Instances, Polygon, Rle
from instseg.core.windows import Window


@dataclass(frozen=True, slots=True)
class TileCrop:
    """Cut of a square out of an image, mostly so that a random instance lies in it.

    Args:
        side: of the square, px of the image; a smaller image stays whole.
        anywhere_fraction: fraction of the tiles that are cut anywhere, also where nothing is.
    """

    side: int
    anywhere_fraction: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.side, int) or self.side < 1:
            raise InstsegError(f"augmentation.tile.side={self.side}: expected a whole number of px, 1 or more")
        if not 0 <= self.anywhere_fraction <= 1:
            raise InstsegError(f"augmentation.tile.anywhere_fraction={self.anywhere_fraction}: expected 0 to 1")

    def __call__(
        self, image: Image, instances: Instances, random: np.random.Generator, min_visibility: float
    ) -> tuple[Image, Instances]:
        """Cut a tile out of an image.

        Args:
            image: uint8 (H, W, 3) RGB, original frame.
            instances: of the image.
            random: decides the place.
            min_visibility: an instance of which less than this fraction lies in the tile is left out.

        Returns:
            The tile, a view of the image, and the instances in its frame.
        """
        boxes = [_box(polygons, rle) for polygons, rle in zip(instances.polygons, instances.rles, strict=True)]
        window = self._window((image.shape[0], image.shape[1]), boxes, random)
        tile = image[window.top : window.bottom, window.left : window.right]
        return tile, _cut(instances, boxes, window, min_visibility)

    def _window(self, size: ImageSize, boxes: Sequence[Box], random: np.random.Generator) -> Window:
        chosen = None
        if len(boxes) and random.random() >= self.anywhere_fraction:
            chosen = boxes[int(random.integers(len(boxes)))]
        height, width = (min(self.side, length) for length in size)
        top = _start(size[0], height, None if chosen is None else chosen[1::2], random)
        left = _start(size[1], width, None if chosen is None else chosen[::2], random)
        return Window(left, top, left + width, top + height)


def _start(length: int, side: int, span: NDArray[np.float64] | None, random: np.random.Generator) -> int:
    """Return where a tile starts along an axis so that it covers a span, or lies within one that is longer."""
    low, high = 0, length - side
    if span is not None:
        ends = sorted((int(np.floor(span[0])), int(np.ceil(span[1])) - side))
        low, high = (int(np.clip(end, low, high)) for end in ends)
    return int(random.integers(low, high + 1))


def _box(polygons: Sequence[Polygon], rle: Rle | None) -> Box:
    if rle is not None:
        return rle_to_box(rle)
    return polygons_to_box(polygons) if polygons else np.zeros(4)  # of nothing: no tile shows it


def _cut(instances: Instances, boxes: Sequence[Box], window: Window, min_visibility: float) -> Instances:
    chosen, polygons, rles = [], list[list[Polygon]](), list[Rle | None]()
    for position, (box, parts, rle) in enumerate(zip(boxes, instances.polygons, instances.rles, strict=True)):
        if box[0] >= window.right or box[1] >= window.bottom or box[2] <= window.left or box[3] <= window.top:
            continue
        seen_parts = _cut_polygons(parts, window)
        seen_rle = None if rle is None else _cut_rle(rle, window)
        seen, whole = _area(seen_parts, seen_rle), _area(parts, rle)
        if seen > 0 and seen >= min_visibility * whole:
            chosen.append(position)
            polygons.append(seen_parts)
            rles.append(seen_rle)
    return Instances(instances.labels[chosen], polygons, rles)


def _area(polygons: Sequence[Polygon], rle: Rle | None) -> float:
    return sum(map(polygon_area, polygons)) if rle is None else rle_area(rle)


def _cut_polygons(parts: Sequence[Polygon], window: Window) -> list[Polygon]:
    corner = np.array([window.left, window.top])
    clipped = [clip_polygon(part - corner, window.size) for part in parts]
    return [part for part in clipped if len(part)]


def _cut_rle(rle: Rle, window: Window) -> Rle:
    crop, (left, top) = rle_to_crop(rle)
    part = Window(left, top, left + crop.shape[1], top + crop.shape[0]).common(window)
    if part is None:
        return crop_to_rle(np.zeros((0, 0), np.bool_), 0, 0, window.size)
    seen = crop[part.top - top : part.bottom - top, part.left - left : part.right - left]
    return crop_to_rle(seen.astype(np.bool_), part.left - window.left, part.top - window.top, window.size)
