"""Polygons cut off at the border of the image, after they were turned or moved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import clip_polygon, polygon_area, polygons_to_box
from instseg.core.types import Box, ImageSize, Polygon


class Visible(NamedTuple):
    """The polygons of one instance, cut off at the border of the image."""

    parts: Sequence[Polygon]
    box: Box  # (4,) xyxy around them
    min_fraction: float  # of their area that must stay unhidden, for the visibility that is asked of the whole


def visible_polygons(
    shapes: Sequence[Sequence[Polygon]], image_size: ImageSize, min_visibility: float
) -> dict[int, Visible]:
    """Cut every shape off at the border of the image.

    The border is compared with the boxes of all at once: in the images of most datasets few polygons cross it, and
    only these are cut one by one.

    Args:
        shapes: the polygons of each instance, px; an instance without any is skipped.
        image_size: (height, width) px.
        min_visibility: fraction of an instance's area that must lie within the image.

    Returns:
        Position -> what is visible of the instance there.
    """
    positions = [position for position, parts in enumerate(shapes) if len(parts)]
    if not positions:
        return {}
    boxes = _boxes([shapes[position] for position in positions])
    limit = np.array(image_size[::-1])
    is_inside = np.all((boxes[:, :2] >= 0) & (boxes[:, 2:] <= limit), axis=1)
    is_outside = np.any((boxes[:, 2:] < 0) | (boxes[:, :2] > limit), axis=1)
    found = {}
    for i in np.flatnonzero(~is_outside).tolist():
        parts = shapes[positions[i]]
        visible = Visible(parts, boxes[i], min_visibility) if is_inside[i] else _cut(parts, image_size, min_visibility)
        if visible is not None:
            found[positions[i]] = visible
    return found


def _boxes(shapes: Sequence[Sequence[Polygon]]) -> NDArray[np.float64]:
    """Return (N, 4) xyxy around the vertices of each shape; none may be empty."""
    points = np.concatenate([part for parts in shapes for part in parts])
    lengths = [sum(map(len, parts)) for parts in shapes]
    starts = [0, *accumulate(lengths[:-1])]
    return np.concatenate([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)], axis=1)


def _cut(parts: Sequence[Polygon], image_size: ImageSize, min_visibility: float) -> Visible | None:
    visible = [part for part in (clip_polygon(part, image_size) for part in parts) if len(part)]
    whole, left = (sum(map(polygon_area, some)) for some in (parts, visible))
    if not visible or left < min_visibility * whole:
        return None
    return Visible(visible, polygons_to_box(visible), min_visibility * (whole / max(left, 1e-6)))
