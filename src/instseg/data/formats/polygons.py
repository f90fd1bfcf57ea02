"""Outlines of shapes as labelling tools write them: points, ellipses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Polygon
from instseg.data.reading.labels import MAX_COORDINATE_PX

NUM_ELLIPSE_POINTS = 90
"""The polygon has 0.08 % less area than the ellipse, and stays within 0.06 % of the radius."""


def read_points(points: Any) -> Polygon:
    """(P, 2) from a list of x, y; numbers may be written as text. InstsegError for anything else."""
    try:
        read = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InstsegError("its points are not all pairs of numbers") from error
    if read.ndim != 2 or read.shape[1] != 2 or not (np.abs(read) <= MAX_COORDINATE_PX).all():
        raise InstsegError("its points are not all pairs of finite numbers within reach of an image")
    return read


def check_polygon(points: Polygon) -> Polygon:
    """The same points; InstsegError when they are fewer than three."""
    if len(points) < 3:
        raise InstsegError(f"a polygon needs three points, found {len(points)}")
    return points


def ellipse(centre: NDArray[np.float64], radii: tuple[float, float], angle: float = 0.0) -> Polygon:
    """Its outline; ``angle`` in radians turns the first radius from the x axis towards the y axis."""
    turns = np.arange(NUM_ELLIPSE_POINTS) * 2 * np.pi / NUM_ELLIPSE_POINTS
    upright = np.stack([radii[0] * np.cos(turns), radii[1] * np.sin(turns)], axis=1)
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Polygon = centre + upright @ np.array([[cos, sin], [-sin, cos]])
    return turned
