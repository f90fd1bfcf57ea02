"""Polygons from the points and ellipses that labelling tools write."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instseg.core.errors import InstsegError
from instseg.core.masks import MAX_COORDINATE_PX
from instseg.core.types import Polygon, Rle

Shape = Rle | list[Polygon] | NDArray[np.float64]
"""A bitmap of the image's size, the parts of an instance, or a box (4,) xyxy."""
NUM_ELLIPSE_POINTS = 90
"""The polygon has 0.08 % less area than the ellipse and stays within 0.06 % of its radius."""


def read_points(points: object) -> Polygon:
    """Convert a list of x, y pairs to an array (P, 2); numbers may be written as text.

    Raises:
        InstsegError: it is no such list, or a number is not finite or too large for an image.
    """
    try:
        read = np.asarray(cast(ArrayLike, points), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InstsegError("its points are not all pairs of numbers") from error
    if read.ndim != 2 or read.shape[1] != 2 or not (np.abs(read) <= MAX_COORDINATE_PX).all():
        raise InstsegError("its points are not all pairs of finite numbers of a plausible size")
    return read


def check_polygon(points: Polygon) -> Polygon:
    """Return the same points.

    Raises:
        InstsegError: there are fewer than three.
    """
    if len(points) < 3:
        raise InstsegError(f"a polygon needs three points, found {len(points)}")
    return points


def rotated(points: Polygon, centre: NDArray[np.float64], angle: float) -> Polygon:
    """Rotate points about a centre.

    Args:
        points: (P, 2) x, y in px.
        centre: (2,) x, y in px.
        angle: from the x axis towards the y axis, which is clockwise on the screen, in radians.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Polygon = centre + (points - centre) @ np.array([[cos, sin], [-sin, cos]])
    return turned


def ellipse(centre: NDArray[np.float64], radii: tuple[float, float], angle: float = 0.0) -> Polygon:
    """Approximate an ellipse by a polygon (90, 2).

    Args:
        centre: (2,) x, y in px.
        radii: the two radii in px.
        angle: rotation of the first radius from the x axis towards the y axis, in radians.
    """
    turns = np.arange(NUM_ELLIPSE_POINTS) * 2 * np.pi / NUM_ELLIPSE_POINTS
    upright = np.stack([radii[0] * np.cos(turns), radii[1] * np.sin(turns)], axis=1)
    return rotated(upright, np.zeros(2), angle) + centre
