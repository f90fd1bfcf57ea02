"""Places of names: beside their instances, where they hide neither an instance nor another name."""

from __future__ import annotations

from collections.abc import Hashable

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Bitmask, Image, ImageSize
from instseg.visualization.colours import Colour
from instseg.visualization.text import MIN_LETTER_PX, contrasting, fitting, text_mask, write_text

PLATE_OPACITY = 0.85
DISTANCES = (0.0, 1.0, 2.5)
"""Gaps between an instance's box and its name that are tried, in heights of the name."""
COST_OF_DISTANCE = 0.06  # for each height of gap, in fractions of a name that hides instances
MAX_HIDING = 0.3
"""Fraction of a name that may lie on instances; on its own instance, that of the instance which it may hide."""
LEADER_ENDS = 0.15  # within a box, in fractions of its sides
SMALLER = 0.75
"""Letters of a name that finds no place are tried in this size, too."""

Corners = NDArray[np.int64]
"""(C, 2) x, y of the upper left corners of a name."""


class LabelPlacer:
    """Writer of names onto a picture, one after the other.

    A name that would hide instances or other names wherever it stood is left out, as its instance's colour says its
    category; the first name of each kind is always written.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn on.
        covered: (h, w) 0 or 1, at any scale: where instances are.
        size_px: size of the letters.
    """

    def __init__(self, canvas: Image, covered: Bitmask, size_px: int) -> None:
        self.canvas, self.size_px = canvas, size_px
        self.sums = cv2.integral(covered).astype(np.int64)  # (h + 1, w + 1): of all cells above and left
        self.cells = np.array(covered.shape[::-1]) / canvas.shape[1::-1]
        self.taken: list[tuple[int, int, int, int]] = []  # x1, y1, x2, y2 of the names so far, end exclusive
        self.kinds: set[Hashable] = set()

    def write(self, box: NDArray[np.float64], text: str, colour: Colour, kind: Hashable, area: float = 0.0) -> bool:
        """Write a name near its box on a plate of its colour.

        Args:
            box: (4,) xyxy in pixels of the canvas.
            text: the name.
            colour: RGB of the plate.
            kind: names of one kind can stand for each other: such as the category.
            area: of the instance, px².

        Returns:
            True where there was a place for it.
        """
        for size_px in dict.fromkeys((self.size_px, max(MIN_LETTER_PX, round(self.size_px * SMALLER)))):
            letters, size = self._letters(text, size_px)
            corner, is_good = self._place(box, size, area)
            if is_good:
                break
        if not is_good and kind in self.kinds:
            return False
        self.kinds.add(kind)
        self._draw(box, letters, size, corner, colour)
        return True

    def _letters(self, text: str, size_px: int) -> tuple[NDArray[np.uint8], ImageSize]:
        """Return the letters, and height and width of their plate."""
        height, width = self.canvas.shape[:2]
        pad = max(1, size_px // 6)
        letters = text_mask(fitting(text, size_px, width - 2 * pad), size_px)
        return letters, (min(letters.shape[0], height), min(letters.shape[1] + 2 * pad, width))

    def _place(self, box: NDArray[np.float64], size: ImageSize, area: float) -> tuple[tuple[int, int], bool]:
        """Return the best corner for a name, and whether it hides as little as it should."""
        corners, gaps = _around(box, size)
        corners = np.clip(corners, 0, np.array(self.canvas.shape[1::-1]) - size[::-1])
        hidden, overlap = self._hidden(corners, size), self._overlap(corners, size)
        best = int((hidden + COST_OF_DISTANCE * gaps + 10 * overlap).argmin())  # the first of equals
        if overlap[best] == 0 and hidden[best] <= MAX_HIDING:
            return _corner(corners[best]), True
        middle = np.rint((box[:2] + box[2:] - size[::-1]) / 2).astype(np.int64)[None]
        middle = np.clip(middle, 0, np.array(self.canvas.shape[1::-1]) - size[::-1])
        fits = size[0] * size[1] <= MAX_HIDING * area and (np.array(size[::-1]) <= box[2:] - box[:2]).all()
        if fits and self._overlap(middle, size)[0] == 0:
            return _corner(middle[0]), True
        return _corner(corners[best]), False

    def _hidden(self, corners: Corners, size: ImageSize) -> NDArray[np.float64]:
        """Return the fraction of each place that lies on instances."""
        limit = np.array(self.sums.shape[::-1]) - 1
        x1, y1 = np.clip(np.floor(corners * self.cells).astype(np.int64), 0, limit - 1).T
        x2, y2 = np.clip(np.ceil((corners + size[::-1]) * self.cells).astype(np.int64), 1, limit).T
        inside = self.sums[y2, x2] - self.sums[y1, x2] - self.sums[y2, x1] + self.sums[y1, x1]
        fractions: NDArray[np.float64] = inside / ((x2 - x1) * (y2 - y1))
        return fractions

    def _overlap(self, corners: Corners, size: ImageSize) -> NDArray[np.float64]:
        """Return the fraction of each place that other names have."""
        others = np.array(self.taken, np.int64).reshape(-1, 4)
        low = np.maximum(corners[:, None], others[None, :, :2])
        high = np.minimum(corners[:, None] + size[::-1], others[None, :, 2:])
        fractions: NDArray[np.float64] = (high - low).clip(0).prod(axis=2).sum(axis=1) / (size[0] * size[1])
        return fractions

    def _draw(
        self,
        box: NDArray[np.float64],
        letters: NDArray[np.uint8],
        size: ImageSize,
        corner: tuple[int, int],
        colour: Colour,
    ) -> None:
        (left, top), (height, width) = corner, size
        self.taken.append((left, top, left + width, top + height))
        self._draw_leader(box, corner, size, colour)
        plate = self.canvas[top : top + height, left : left + width]
        plate[:] = np.rint(plate * (1 - PLATE_OPACITY) + np.array(colour) * PLATE_OPACITY)
        write_text(plate, letters, ((width - min(letters.shape[1], width)) // 2, 0), contrasting(colour))

    def _draw_leader(self, box: NDArray[np.float64], corner: tuple[int, int], size: ImageSize, colour: Colour) -> None:
        """Draw a line from a name that stands apart to its box."""
        low, high = np.array(corner), np.array(corner) + size[::-1]
        near = np.clip((box[:2] + box[2:]) / 2, low, high)
        if np.abs(np.clip(near, box[:2], box[2:]) - near).max() > size[0] / 2:
            inner = LEADER_ENDS * (box[2:] - box[:2])
            there = np.clip(near, box[:2] + inner, box[2:] - inner)
            start, end = (np.rint(place).astype(int).tolist() for place in (near, there))
            cv2.line(self.canvas, start, end, colour, max(1, size[0] // 16), cv2.LINE_AA)


def _around(box: NDArray[np.float64], size: ImageSize) -> tuple[Corners, NDArray[np.float64]]:
    """Return corners of places around a box, and the gaps between them and the box in heights of the name."""
    x1, y1, x2, y2 = box
    height, width = size
    corners = []
    for gap in (distance * height for distance in DISTANCES):
        above, below, left, right = y1 - height - gap, y2 + gap, x1 - width - gap, x2 + gap
        middle_x, middle_y = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
        corners += [(x, y) for y in (above, below) for x in (x1, x2 - width, middle_x)]
        corners += [(x, y) for x in (right, left) for y in (y1, y2 - height, middle_y)]
        corners += [(x, y) for y in (above, below) for x in (left, right)]
    return np.rint(corners).astype(np.int64), np.repeat(DISTANCES, len(corners) // len(DISTANCES))


def _corner(place: NDArray[np.int64]) -> tuple[int, int]:
    x, y = place.tolist()
    return x, y
