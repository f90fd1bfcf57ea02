"""The size in which the network sees an image."""

from __future__ import annotations

import cv2
import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize


class Resize:
    """Scale so that the shorter side is ``min_size`` but the longer at most ``max_size``; aspect is kept."""

    def __init__(self, min_size: int, max_size: int) -> None:
        if not 0 < min_size <= max_size:
            raise InstsegError(f"min_size={min_size} must be in 1..max_size={max_size}")
        self.min_size, self.max_size = min_size, max_size

    def output_size(self, image_size: ImageSize, scale: float = 1.0) -> ImageSize:
        """Return the (height, width) px after the resize.

        Args:
            image_size: (height, width) px before.
            scale: further factor.
        """
        ratio = min(self.min_size / min(image_size), self.max_size / max(image_size)) * scale
        return scaled(image_size, ratio)

    def __call__(self, image: Image) -> Image:
        """Return the image (H, W, 3) after the resize."""
        return resize_image(image, self.output_size(image.shape[:2]))


def scaled(size: ImageSize, scale: float) -> ImageSize:
    """Return the (height, width) px of an image at a scale, at least 1 each.

    Args:
        size: (height, width) px.
        scale: px after a resize per px before.
    """
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize_image(image: Image, size: ImageSize) -> Image:
    """Resize bilinearly; when shrinking to less than half, average over the covered pixels so that nothing aliases.

    Args:
        image: uint8 (H, W, 3).
        size: (height, width) px.
    """
    if image.shape[:2] == size:
        return image
    shrinks = size[0] * 2 < image.shape[0]
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def is_range(value: object) -> bool:
    """Tell whether this is a low and a high number, both above 0."""
    if not isinstance(value, list | tuple) or not all(isinstance(bound, int | float) for bound in value):
        return False
    return len(value) == 2 and 0 < value[0] <= value[1] < float("inf")
