"""Parsing of one row of a YOLO text file: a polygon or a box, in fractions of the image's width and height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import ImageSize

REACH = (-1.0, 2.0)
"""Range of coordinates: a polygon may extend beyond the image by up to its size; larger numbers are pixels."""
NUM_BOX_VALUES = 4
VISIBILITIES = {0.0, 1.0, 2.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One instance.

    Attributes:
        class_index: from 0.
        values: centre x, y, width, height of a box, or x, y of each vertex of a polygon; in fractions of the image.
        has_score: whether a score followed, as in predictions.
    """

    class_index: int
    values: tuple[float, ...]
    has_score: bool

    @property
    def is_box(self) -> bool:
        """Tell whether the row is a box."""
        return len(self.values) == NUM_BOX_VALUES

    def in_px(self, image_size: ImageSize) -> NDArray[np.float64]:
        """Convert to px: a box (4,) xyxy or a polygon (P, 2); ``image_size`` is (height, width)."""
        height, width = image_size
        pairs = np.array(self.values).reshape(-1, 2) * (width, height)
        if not self.is_box:
            return pairs
        centre, half = pairs[0], np.abs(pairs[1]) / 2
        return np.concatenate([centre - half, centre + half])


def read_row(line: str) -> Row:
    """Parse a row; an extra number at the end is a score, as in predictions.

    Raises:
        InstsegError: it is not a row.
    """
    try:
        index, *values = map(float, line.replace(",", " ").split())
    except ValueError as error:
        raise InstsegError(f"expected a class and coordinates, found {line[:60]!r}") from error
    if not index.is_integer() or index < 0:
        raise InstsegError(f"expected a class index from 0, found {line[:20]!r}")
    has_score = len(values) > NUM_BOX_VALUES and len(values) % 2 == 1
    coordinates = values[:-1] if has_score else values
    if len(coordinates) < NUM_BOX_VALUES or len(coordinates) % 2:
        raise InstsegError(
            f"expected a box of four numbers, or at least three x, y pairs; found {plural(len(values), 'number')}"
        )
    if not all(math.isfinite(value) and REACH[0] <= value <= REACH[1] for value in coordinates):
        raise InstsegError(f"expected fractions of the image, 0 to 1, found {line[:60]!r}: are these pixels?")
    return Row(int(index), tuple(coordinates), has_score)


def looks_like_pose(lines: Sequence[str]) -> bool | None:
    """Tell whether all rows longer than a box are a box with key points (x, y and a visibility of 0, 1 or 2 each).

    None when no row is long enough for two key points.
    """
    longer = [values for line in lines if len(values := line.replace(",", " ").split()[1:]) >= NUM_BOX_VALUES + 6]
    fitting = (len(values) % 3 == 1 and _are_visibilities(values[6::3]) for values in longer)
    return all(fitting) if longer else None


def _are_visibilities(values: Sequence[str]) -> bool:
    try:
        return VISIBILITIES.issuperset(map(float, values))
    except ValueError:
        return False
