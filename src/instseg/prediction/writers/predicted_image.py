"""A predicted image in the form that every writer receives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import rle_to_crop
from instseg.core.polygons import rle_to_polygons
from instseg.core.types import Image, Polygon, Prediction
from instseg.core.windows import LargeImage, Window
from instseg.visualization.scaling import shrunk_prediction

MAX_8_BIT = 255
OVERVIEW_PX = 4096
"""Longer side of the picture of an image that is too large to be drawn as it is."""


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """An image without its pixels, and its instances (upright frame, best score first)."""

    file: str  # relative to the image folder, with /
    stem: str  # the same without extension, or with it where another image has the same: what its files are called
    prediction: Prediction


class LoadedImage:
    """A predicted image with its pixels, and with data that several formats need, computed once.

    Args:
        predicted: the image and what was found on it.
        pixels: (H, W, 3) uint8 RGB, upright; or a large image that is read by windows.
    """

    def __init__(self, predicted: PredictedImage, pixels: Image | LargeImage) -> None:
        self.predicted, self._pixels = predicted, pixels
        self.file, self.stem, self.prediction = predicted.file, predicted.stem, predicted.prediction

    @property
    def pixels(self) -> Image:
        """All pixels, (H, W, 3) uint8 RGB; of a large image they are decoded each time: prefer ``cut``."""
        return self._pixels if isinstance(self._pixels, np.ndarray) else self._pixels.whole()

    def cut(self, window: Window) -> Image:
        """Return the pixels in a window, (h, w, 3) uint8 RGB."""
        if isinstance(self._pixels, np.ndarray):
            return self._pixels[window.top : window.bottom, window.left : window.right]
        return self._pixels.read(window)

    @cached_property
    def overview(self) -> tuple[Image, Prediction]:
        """The image and its instances at a size for pictures: a large one is shrunk to OVERVIEW_PX, others are not."""
        if isinstance(self._pixels, np.ndarray):
            return self._pixels, self.prediction
        small = self._pixels.shrunk(ceil(max(self._pixels.size) / OVERVIEW_PX))
        return small, shrunk_prediction(self.prediction, (small.shape[0], small.shape[1]))

    @property
    def is_shrunk(self) -> bool:
        """Tell whether the overview is smaller than the image."""
        return not isinstance(self._pixels, np.ndarray)

    @cached_property
    def polygons(self) -> list[list[Polygon]]:
        """Parts of each instance, as ``prediction_polygons``."""
        return prediction_polygons(self.prediction)

    @cached_property
    def values(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W): k where instance k (from 1, best score first) is seen on top of those with lower scores, else 0."""
        kind = np.uint8 if len(self.prediction) <= MAX_8_BIT else np.uint16
        values = np.zeros(self.prediction.image_size, kind)
        for value in range(len(self.prediction), 0, -1):
            rle = self.prediction.rles[value - 1]
            crop, (left, top) = rle_to_crop(rle)
            values[top : top + crop.shape[0], left : left + crop.shape[1]][crop == 1] = value
        return values


def prediction_polygons(prediction: Prediction) -> list[list[Polygon]]:
    """Return the parts of each instance, largest first, of few points to drag; holes are joined by seams."""
    return [rle_to_polygons(rle) for rle in prediction.rles]


def unique_stems(files: Sequence[str]) -> list[str]:
    """Return ``a/b`` for ``a/b.png``, or ``a/b.png`` where an earlier file of the list took that (in any case)."""
    taken: set[str] = set()
    stems = []
    for file in files:
        stem, longer = PurePosixPath(file).with_suffix("").as_posix(), file
        while stem.casefold() in taken:
            stem, longer = longer, f"{longer}_"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
