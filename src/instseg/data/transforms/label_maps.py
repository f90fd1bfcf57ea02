"""Instances that exist only as bitmaps, drawn into few label maps so that moving them costs a few images, not N.

A pixel's value stands for the set of instances that it belongs to. However many overlap, they share a map, and what
moves its pixels moves all of them; a map is split only where they meet in more ways than a byte can name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import rles_runs
from instseg.core.types import Bitmask, Box, ImageSize, Rle

NUM_VALUES = 256  # of a byte; 0 stands for no instance
MAX_PER_MAP = 64  # a set of instances is the bits of one number
Pixels = tuple[slice, slice] | tuple[NDArray[np.integer], ...]
"""Rows and columns."""
Group = TypeVar("Group", bound=np.generic)


@dataclass(slots=True)
class LabelMaps:
    """Bitmaps of N instances in few maps.

    ``maps`` are (H, W) uint8; ``members[m]`` (n, 256) tells in which of its values each of its n instances is.
    Instance i is number ``places[i][1]`` of map ``places[i][0]``.
    """

    maps: list[NDArray[np.uint8]] = field(default_factory=list)
    members: list[NDArray[np.bool_]] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)

    def add(self, label_map: NDArray[np.uint8], members: NDArray[np.bool_]) -> None:
        """Append a map with its instances.

        Args:
            label_map: (H, W) uint8.
            members: (n, 256) bool, the values of each instance.
        """
        self.places += [(len(self.maps), number) for number in range(len(members))]
        self.maps.append(label_map)
        self.members.append(members)

    def boxes_and_areas(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return boxes (N, 4) xyxy and numbers of pixels (N,) in the current frame; zeros if nothing is left."""
        pairs = zip(self.maps, self.members, strict=True)
        of_maps = [_extents_of_instances(label_map, members) for label_map, members in pairs]
        extents = np.array([of_maps[m][number] for m, number in self.places], dtype=np.int64).reshape(-1, 5)
        return extents[:, :4].astype(np.float64), extents[:, 4]

    def bitmask(self, i: int, box: Box) -> Bitmask:
        """Return the bitmask of an instance, (h, w) of 0 and 1, in a box.

        Args:
            i: index of the instance.
            box: (4,) xyxy of whole pixels.
        """
        x1, y1, x2, y2 = box.astype(int).tolist()
        return self.sample(i, np.s_[y1:y2, x1:x2])

    def sample(self, i: int, pixels: Pixels) -> Bitmask:
        """Tell of some pixels whether they belong to an instance.

        Args:
            i: index of the instance.
            pixels: slices, or arrays of rows and columns that broadcast to (h, w).

        Returns:
            uint8 (h, w) of 0 and 1.
        """
        map_index, number = self.places[i]
        label_map, table = self.maps[map_index][pixels], self.members[map_index][number]
        if label_map.size == 0 or np.count_nonzero(table) == 1:  # the one OpenCV refuses, the other is twice as fast
            inside: Bitmask = (label_map == table.argmax()).view(np.uint8)
            return inside
        return np.asarray(cv2.LUT(label_map, table.view(np.uint8)), dtype=np.uint8)

    def clear(self, bitmask: Bitmask, window: tuple[slice, slice]) -> None:
        """Clear the pixels of a bitmask in all instances.

        Args:
            bitmask: (h, w).
            window: its rows and columns in the image.
        """
        for label_map in self.maps:
            label_map[window][bitmask > 0] = 0

    def put(self, bitmask: Bitmask, window: tuple[slice, slice], image_size: ImageSize) -> None:
        """Append an instance whose pixels have been cleared, into the first map that has a value to spare.

        Args:
            bitmask: (h, w).
            window: its rows and columns in the image.
            image_size: (height, width) px of the image.
        """
        free = [np.flatnonzero(~members.any(axis=0))[1:] for members in self.members]
        m = next(m for m in count() if m == len(free) or len(free[m]))
        if m == len(free):
            self.maps.append(np.zeros(image_size, dtype=np.uint8))
            self.members.append(np.zeros((0, NUM_VALUES), dtype=np.bool_))
        value = int(free[m][0]) if m < len(free) else 1
        self.maps[m][window][bitmask > 0] = value
        self.members[m] = np.concatenate([self.members[m], np.arange(NUM_VALUES)[None] == value])
        self.places.append((m, len(self.members[m]) - 1))


def _extents_of_instances(label_map: NDArray[np.uint8], members: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (n, 5) x1, y1, x2, y2 and number of pixels of each instance."""
    found, extents = _extents_of_values(label_map)
    instances, columns = np.nonzero(members[:, found])
    of_instances = np.zeros((len(members), 5), dtype=np.int64)
    seen, united = _united(instances, extents[:, columns])
    of_instances[seen] = united.T
    return of_instances


def _extents_of_values(label_map: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the values in a map but 0, and their extents (5, values), in one pass: from the runs of equal pixels."""
    is_start = np.ones(label_map.shape, dtype=np.bool_)
    np.not_equal(label_map[:, 1:], label_map[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    lengths = np.diff(starts, append=label_map.size)
    values = label_map.reshape(-1)[starts]
    rows = starts // label_map.shape[1]
    columns = starts - rows * label_map.shape[1]
    order = np.argsort(values, kind="stable")
    order = order[np.count_nonzero(values == 0) :]
    extents = np.stack([columns, rows, columns + lengths, rows + 1, lengths])
    return _united(values[order], extents[:, order])


def _united(groups: NDArray[Group], extents: NDArray[np.int64]) -> tuple[NDArray[Group], NDArray[np.int64]]:
    """Return the different groups, which are in order, and their extents (5, N): x1, y1, x2, y2, pixels."""
    is_first = np.ones(len(groups), dtype=np.bool_)
    np.not_equal(groups[1:], groups[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    low = np.minimum.reduceat(extents[:2], first, axis=1)
    high = np.maximum.reduceat(extents[2:4], first, axis=1)
    return groups[first], np.concatenate([low, high, np.add.reduceat(extents[4:], first, axis=1)])


def draw_label_maps(rles: Sequence[Rle], image_size: ImageSize, size: ImageSize) -> LabelMaps:
    """Draw bitmaps as they look when their image is resized, each pixel that of its nearest neighbour.

    Args:
        rles: compressed, original frame.
        image_size: (height, width) px of the original image.
        size: (height, width) px after the resize.
    """
    drawn = LabelMaps()
    rows, columns = (_nearest(before, after) for before, after in zip(image_size, size, strict=True))
    shown = min(image_size[0], size[0]), min(image_size[1], size[1])  # none twice
    for first in range(0, len(rles), MAX_PER_MAP):
        runs, owners = rles_runs([rle["counts"] for rle in rles[first : first + MAX_PER_MAP]])
        bounds = np.cumsum(runs) - owners * (image_size[0] * image_size[1])
        if shown != image_size:
            bounds = _moved(bounds, image_size, np.unique(rows), np.unique(columns))
        for values, lengths, members in _arranged(bounds, owners, shown[0] * shown[1]):
            column_by_column = np.repeat(values, lengths).reshape(shown[::-1])
            upright = cv2.transpose(_spread(column_by_column, columns)).astype(np.uint8, copy=False)
            drawn.add(_spread(upright, rows), members)
    return drawn


def _nearest(before: int, after: int) -> NDArray[np.int64]:
    """Return (after,) the index of the pixel, of ``before``, that each shows after a resize."""
    numbers = np.arange(before, dtype=np.float32)[None]
    resized = cv2.resize(numbers, (after, 1), interpolation=cv2.INTER_NEAREST_EXACT)
    shown: NDArray[np.int64] = resized[0].astype(np.int64)
    return shown


def _spread(pixels: NDArray[np.uint8], shown: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the rows that are shown, repeated where the map grows; where it shrinks only those were drawn."""
    return pixels if len(pixels) == len(shown) else pixels.take(shown, axis=0)


def _moved(
    bounds: NDArray[np.int64], image_size: ImageSize, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return places among all pixels as places of the next one among the shown rows and columns, column by column."""
    height, width = image_size
    column = bounds // height
    new_row = np.searchsorted(rows, np.arange(height))[bounds - column * height]
    new_columns = np.searchsorted(columns, np.arange(width + 1))
    is_shown = np.diff(new_columns, append=new_columns[-1])
    moved: NDArray[np.int64] = new_columns[column] * len(rows) + new_row * is_shown[column]
    return moved


def _arranged(
    bounds: NDArray[np.int64], owners: NDArray[np.int64], num_pixels: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield of each map its values, the number of pixels with each, and the values of each instance."""
    ordered = np.sort(bounds * MAX_PER_MAP + owners)
    toggled = np.left_shift(np.uint64(1), (ordered % MAX_PER_MAP).astype(np.uint64))
    sets = np.concatenate([[np.uint64(0)], np.bitwise_xor.accumulate(toggled)])
    lengths = np.diff(ordered // MAX_PER_MAP, prepend=0, append=num_pixels)
    is_shown = lengths > 0
    is_shown[0] = True  # before the first bound lies nobody, whose value has to be 0 even where it is nowhere
    yield from _split(sets[is_shown], lengths[is_shown], np.arange(owners[-1] + 1))


def _split(
    sets: NDArray[np.uint64], lengths: NDArray[np.int64], instances: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield one map if a byte can name all sets of these instances, otherwise one for each half of them, and so on."""
    bits = np.left_shift(np.uint64(1), instances.astype(np.uint64))
    sets = sets & np.bitwise_or.reduce(bits)
    starts = np.flatnonzero(np.concatenate([[True], sets[1:] != sets[:-1]]))
    sets, lengths = sets[starts], np.add.reduceat(lengths, starts)
    different, values = np.unique(sets, return_inverse=True)
    if len(different) <= NUM_VALUES:
        members = np.zeros((len(instances), NUM_VALUES), dtype=np.bool_)
        members[:, : len(different)] = (different & bits[:, None]) > 0
        yield values.astype(np.uint8), lengths, members
    else:
        for half in np.array_split(instances, 2):
            yield from _split(sets, lengths, half)
