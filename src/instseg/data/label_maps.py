"""Instances that exist only as bitmaps, packed into few label maps so that warping them costs a few images, not N.

Instances that do not overlap share one map; pixel value k means the k-th instance of that map.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.masks import rle_runs, rle_to_box
from instseg.types import ImageSize, Rle

MAX_PER_MAP = 255  # uint8


@dataclass(slots=True)
class LabelMaps:
    """``maps`` are (H, W) uint8; instance i lies in map ``places[i][0]`` as value ``places[i][1]``."""

    maps: list[NDArray[np.uint8]]
    places: list[tuple[int, int]]

    def box_and_bitmask(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Instance i in the frame the maps are in now: box xyxy, zeros if nothing is left, and (h, w) 0/1 in it."""
        map_index, value = self.places[i]
        whole = (self.maps[map_index] == value).view(np.uint8)
        x, y, width, height = cv2.boundingRect(whole)
        return np.array([x, y, x + width, y + height], dtype=np.float64), whole[y : y + height, x : x + width]


def pack_label_maps(rles: list[Rle], image_size: ImageSize) -> LabelMaps:
    """Put each bitmap into the first map where its pixels are free."""
    packed = LabelMaps([], [])
    used: list[int] = []
    for rle in rles:
        x1, y1, x2, y2 = rle_to_box(rle).astype(int)
        inside = _rows_and_columns(rle, x1, y1, x2, y2)
        for map_index, label_map in enumerate(packed.maps):
            if used[map_index] < MAX_PER_MAP and not label_map[y1:y2, x1:x2][inside].any():
                break
        else:
            map_index = len(packed.maps)
            packed.maps.append(np.zeros(image_size, dtype=np.uint8))
            used.append(0)
        used[map_index] += 1
        packed.maps[map_index][y1:y2, x1:x2][inside] = used[map_index]
        packed.places.append((map_index, used[map_index]))
    return packed


def _rows_and_columns(rle: Rle, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.bool_]:
    """(y2 - y1, x2 - x1) of a mask, decoding no other columns: a small object in a large photo costs little."""
    height = rle["size"][0]
    ends = np.clip(np.cumsum(rle_runs(rle["counts"])), x1 * height, x2 * height)
    lengths = np.diff(ends, prepend=x1 * height, append=x2 * height)
    is_inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(is_inside, lengths).reshape(x2 - x1, height).T[y1:y2]
