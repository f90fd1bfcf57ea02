"""Images of Pillow as RGB arrays, a strip at a time: the memory beside the image and the array stays small."""

from __future__ import annotations

import numpy as np
from PIL import Image as PilImage
from PIL.Image import Transpose

from instseg.core.types import Image

STRIP_PIXELS = 1 << 20
TO_COLUMNS = (Transpose.TRANSPOSE, Transpose.TRANSVERSE, Transpose.ROTATE_90, Transpose.ROTATE_270)
FROM_THE_END = (Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_270, Transpose.TRANSVERSE)
"""Turns by which the first rows become the last rows or columns."""


def rgb_array(image: PilImage.Image, turn: Transpose | None = None) -> Image:
    """Return the pixels of an image, alpha laid on white.

    Args:
        image: of Pillow.
        turn: to apply; None for none.

    Returns:
        uint8 (H, W, 3) RGB, writable and contiguous.
    """
    width, height = image.size
    is_turned = turn in TO_COLUMNS
    pixels = np.empty((width, height, 3) if is_turned else (height, width, 3), np.uint8)
    lines = pixels.swapaxes(0, 1) if is_turned else pixels
    rows = max(1, STRIP_PIXELS // max(width, 1))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = to_rgb(image.crop((0, top, width, bottom)) if bottom - top < height else image)
        turned = np.asarray(strip if turn is None else strip.transpose(turn))
        place = slice(height - bottom, height - top) if turn in FROM_THE_END else slice(top, bottom)
        lines[place] = turned.swapaxes(0, 1) if is_turned else turned
    return pixels


def to_rgb(image: PilImage.Image) -> PilImage.Image:
    """Return an image in mode RGB, alpha laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        straight = image.convert("RGBA")
        white = PilImage.new("RGBA", image.size, "white")
        return PilImage.alpha_composite(white, straight).convert("RGB")
    return image.convert("RGB")
