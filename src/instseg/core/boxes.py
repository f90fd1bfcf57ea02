"""Boxes compared with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_AREA = 1e-9
"""px²; two boxes without an area have an IoU of 0."""


def box_ious(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each box with each other one.

    Args:
        first: (N, 4) xyxy px.
        second: (M, 4) xyxy px.

    Returns:
        (N, M).
    """
    return paired_box_ious(first[:, None], second[None])


def paired_box_ious(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each box with the one at its place.

    Args:
        first: (..., 4) xyxy px.
        second: (..., 4) xyxy px; the shapes broadcast.

    Returns:
        (...).
    """
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    ious: NDArray[np.float64] = common / np.maximum(box_areas(first) + box_areas(second) - common, MIN_AREA)
    return ious


def box_areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of each box.

    Args:
        boxes: (..., 4) xyxy px.

    Returns:
        (...) px².
    """
    areas: NDArray[np.float64] = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas
