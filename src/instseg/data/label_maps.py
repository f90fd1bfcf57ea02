"""Instances that exist only as bitmaps, packed into few label maps so that warping them costs a few images, not N.

Instances that do not overlap share one map; pixel value k means the k-th instance of that map.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.masks import Bitmask, Box, rle_runs, rle_to_box
from instseg.types import ImageSize, Rle

MAX_PER_MAP = 255  # uint8


@dataclass(slots=True)
class LabelMaps:
    """``maps`` are (H, W) uint8; instance i lies in map ``places[i][0]`` as value ``places[i][1]``."""

    maps: list[NDArray[np.uint8]]
    places: list[tuple[int, int]]

    def boxes_and_areas(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Boxes (N, 4) xyxy and numbers of pixels (N,) in the frame the maps are in now; zeros if nothing is left."""
        extents = np.array([_extents(label_map) for label_map in self.maps]).reshape(-1, 256, 5)
        of_instances = extents[tuple(np.array(self.places, dtype=np.int64).reshape(-1, 2).T)]
        return of_instances[:, :4].astype(np.float64), of_instances[:, 4]

    def bitmask(self, i: int, box: Box) -> Bitmask:
        """Instance i, (h, w) 0/1 in its box."""
        map_index, value = self.places[i]
        x1, y1, x2, y2 = box.astype(int)
        bitmask: Bitmask = (self.maps[map_index][y1:y2, x1:x2] == value).view(np.uint8)
        return bitmask


def _extents(label_map: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(256, 5) x1, y1, x2, y2 and number of pixels of each value, found in one pass: from the runs of equal pixels."""
    is_start = np.ones(label_map.shape, dtype=np.bool_)
    np.not_equal(label_map[:, 1:], label_map[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    rows, columns = np.divmod(starts, label_map.shape[1])
    lengths = np.diff(starts, append=label_map.size)
    values = label_map[rows, columns]
    order = np.argsort(values, kind="stable")  # so that the rows of a value stay in order
    found, first = np.unique(values[order], return_index=True)
    last = np.append(first[1:], len(order)) - 1
    extents = np.zeros((256, 5), dtype=np.int64)
    extents[found, 0] = np.minimum.reduceat(columns[order], first)
    extents[found, 1] = rows[order[first]]
    extents[found, 2] = np.maximum.reduceat((columns + lengths)[order], first)
    extents[found, 3] = rows[order[last]] + 1
    extents[found, 4] = np.add.reduceat(lengths[order], first)
    return extents


def pack_label_maps(rles: list[Rle], image_size: ImageSize) -> LabelMaps:
    """Put each bitmap into the first map where its pixels are free."""
    packed = LabelMaps([], [])
    used: list[int] = []
    for rle in rles:
        x1, y1, x2, y2 = rle_to_box(rle).astype(int)
        inside = _rows_and_columns(rle, x1, y1, x2, y2)
        for map_index, label_map in enumerate(packed.maps):
            if used[map_index] < MAX_PER_MAP and not ((label_map[y1:y2, x1:x2] > 0) & inside).any():
                break
        else:
            map_index = len(packed.maps)
            packed.maps.append(np.zeros(image_size, dtype=np.uint8))
            used.append(0)
        used[map_index] += 1
        np.copyto(packed.maps[map_index][y1:y2, x1:x2], used[map_index], where=inside)
        packed.places.append((map_index, used[map_index]))
    return packed


def _rows_and_columns(rle: Rle, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.bool_]:
    """(y2 - y1, x2 - x1) of a mask, decoding nothing else: a small object in a large photo costs little."""
    height, shown = rle["size"][0], y2 - y1
    if shown == 0:
        return np.zeros((0, 0), dtype=np.bool_)
    columns, rows = np.divmod(np.cumsum(rle_runs(rle["counts"])), height)
    ends = np.clip((columns - x1) * shown + np.clip(rows - y1, 0, shown), 0, (x2 - x1) * shown)
    lengths = np.diff(ends, prepend=0, append=(x2 - x1) * shown)
    is_inside = (np.arange(len(lengths)) % 2).astype(np.uint8)
    column_by_column = np.repeat(is_inside, lengths).reshape(x2 - x1, shown)
    return cv2.transpose(column_by_column).view(np.bool_)
