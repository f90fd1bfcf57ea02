"""Colours of instances: each a shade of its category's hue, unlike those of its neighbours, or the category's own."""

from __future__ import annotations

import colorsys
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GOLDEN_RATIO = 0.618033988749895  # successive hues stay far apart, however many there are
Colour = tuple[int, int, int]
ColourBy = Literal["instance", "category"]

SHADES = ((0.0, 0.0), (0.025, 0.2), (-0.025, -0.17), (0.03, -0.09), (-0.03, 0.1), (0.0, -0.23), (-0.01, 0.24))
"""Differences of hue and lightness from the category's colour, in the order in which instances take them."""
LIGHTNESS_LIMITS = (0.22, 0.86)


def category_colour(label: int) -> Colour:
    """Return the bright RGB colour (0..255) of a label, the same in every picture of every run."""
    hue = (0.02 + (label - 1) * GOLDEN_RATIO) % 1.0
    lightness = (0.55, 0.45, 0.65)[(label - 1) // 8 % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def instance_colours(
    labels: NDArray[np.integer], boxes: NDArray[np.floating], colour_by: ColourBy = "instance"
) -> list[Colour]:
    """Choose a colour for each instance; neighbours of one category get shades that are far apart.

    Args:
        labels: (N,) from 1.
        boxes: (N, 4) xyxy in pixels, by which neighbours are found.
        colour_by: instance, or category: all instances of a category get its colour.
    """
    if colour_by == "category":
        return [category_colour(int(label)) for label in labels]
    shades, chosen = {int(label): _shades(int(label)) for label in np.unique(labels)}, np.zeros(len(labels), np.int64)
    closeness = _closeness(np.asarray(boxes, np.float64).reshape(-1, 4))
    for i, label in enumerate(labels):
        of_label = shades[int(label)]
        earlier = np.flatnonzero(labels[:i] == label)
        gaps = np.abs(of_label[:, None] - of_label[chosen[earlier]]).sum(axis=2)  # (shades, earlier)
        likeness = (closeness[i, earlier] / (20 + gaps)).sum(axis=1)
        chosen[i] = int(likeness.argmin())  # the first of equals: a lone instance has its category's colour
    return [_as_colour(shades[int(label)][shade]) for label, shade in zip(labels, chosen, strict=True)]


def _shades(label: int) -> NDArray[np.float64]:
    """Return (len(SHADES), 3) RGB of a category."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in category_colour(label)))
    lightnesses = np.clip([lightness + lighter for _, lighter in SHADES], *LIGHTNESS_LIMITS).tolist()
    hues = [(hue + turn) % 1.0 for turn, _ in SHADES]
    pairs = zip(hues, lightnesses, strict=True)
    return np.array([colorsys.hls_to_rgb(hue, lightness, saturation) for hue, lightness in pairs]) * 255


def _closeness(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, N) weights of pairs of boxes: 1 where they touch, falling with the square of the gap between them."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    gaps = np.maximum(low - high, 0).max(axis=2, initial=0)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1)
    closeness: NDArray[np.float64] = 1 / (1 + (4 * gaps / np.maximum(sides[:, None], sides[None, :])) ** 2)
    return closeness


def _as_colour(rgb: NDArray[np.float64]) -> Colour:
    red, green, blue = (round(float(part)) for part in rgb)
    return red, green, blue
