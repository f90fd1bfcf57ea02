"""Views of an image, each predicted on its own: mirrored, and at other sizes (test-time augmentation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from instseg.core.types import Image, ImageSize, Prediction
from instseg.data.transforms.resize import resize_image, scaled
from instseg.prediction.augmentations import Augmentation
from instseg.prediction.mirrored import mirrored_back

SCALES = (0.8, 1.25)
"""Sizes of ``scale`` beside the usual one, as multiples of it."""


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    Args:
        scale: multiple of the usual size in the network.
        is_mirrored: from left to right.
    """

    scale: float = 1.0
    is_mirrored: bool = False

    def of(self, image: Image, size: ImageSize) -> Image:
        """Return the image as the network sees it.

        Args:
            image: (H, W, 3) uint8 RGB.
            size: its usual (height, width) px in the network.
        """
        seen = resize_image(image, scaled(size, self.scale))
        return np.ascontiguousarray(seen[:, ::-1]) if self.is_mirrored else seen

    def back(self, found: Prediction) -> Prediction:
        """Return what was found in the view in the frame of the image, in whose size it already is."""
        return mirrored_back(found) if self.is_mirrored else found


AS_IT_IS = (View(),)


def views_of(chosen: Sequence[Augmentation]) -> tuple[View, ...]:
    """Return the views of augmentations, the image as it is first: two of flip, three of scale, six of both."""
    scales = (1.0, *SCALES) if "scale" in chosen else (1.0,)
    return tuple(View(*view) for view in product(scales, (False, True) if "flip" in chosen else (False,)))
