"""Decoding of mask images from any tool into one integer per pixel, 0 for the background.

- indexed, gray (8, 16 or 32 bits) and 1-bit images: their own values
- colours: 2^24 + red·2^16 + green·2^8 + blue; a gray pixel counts as its gray value, black is 0
- transparent pixels are 0; if all opaque pixels are black, the opaque pixels are the mask
- black and white with soft edges, as scaling and JPEG leave them: thresholded at 128
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.types import ImageSize
from instseg.data.formats.mask_values import COLOUR, PixelValues
from instseg.data.reading.pixel_limits import check_pixels, room_for

VOID = 255
"""Value of indexed images, as in VOC, for the border that belongs to no instance."""
MAX_GRAY_VALUES = 16
"""An 8-bit image with more values than this may be black and white with soft edges …"""
DARK, BRIGHT, SOFT_FRACTION = 24, 232, 0.3
"""… and is, if less than this fraction of its pixels that are not dark are not bright either."""
ROWS_AT_A_TIME = 256
SIZE_TOLERANCE_PX = 1.5
"""Tolerance of the sides of a scaled mask, in px of the smaller of mask and image: each side was rounded once."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A decoded mask image."""

    values: PixelValues  # (H, W), 0 is the background
    is_black_and_white: bool  # its one value then says nothing about instances
    is_indexed: bool
    is_softened: bool  # it had soft edges and was thresholded

    @property
    def size(self) -> ImageSize:
        """Height and width in pixels."""
        height, width = self.values.shape
        return height, width


def read_mask(path: Path) -> Mask:
    """Decode a mask.

    Raises:
        InstsegError: the file is missing, not an image, truncated, too large, or cannot be a mask.
    """
    try:
        with PilImage.open(path) as image:
            check_pixels(*image.size)
            with room_for(*image.size):
                return _mask_of(image)
    except FileNotFoundError as error:
        raise InstsegError(f"{path}: no such file") from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise InstsegError(f"{path}: cannot be read as a mask: {error or type(error).__name__}") from error


def _mask_of(image: PilImage.Image) -> Mask:
    is_jpeg, is_indexed = image.format == "JPEG", image.mode == "P" and not _is_painted(image)
    values = _values(image.convert("L") if is_jpeg else image, is_indexed)
    soft = not is_indexed and _is_soft(values, 0 if is_jpeg else MAX_GRAY_VALUES)
    if soft:
        values = (values >= 128).astype(np.uint8) * np.uint8(255)
    elif is_jpeg and values.any():
        raise InstsegError("JPEG changes pixel values, and with them what tells instances apart: write masks as PNG")
    return Mask(values, image.mode == "1" or _is_white_on_black(values), is_indexed, soft)


def _values(image: PilImage.Image, is_indexed: bool) -> PixelValues:
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if is_indexed or image.mode in ("L", "I") or image.mode.startswith("I;16"):
        return _checked(np.asarray(image))
    if image.mode == "F":
        return _checked(_whole(np.asarray(image)))
    is_opaque = image.mode == "RGB" and "transparency" not in image.info
    return _colour_values(np.asarray(image if is_opaque else image.convert("RGBA")))


def _is_painted(image: PilImage.Image) -> bool:
    """Tell whether the colours of an indexed image count: its indices are arbitrary if black is not the first."""
    palette = (image.getpalette() or [])[: 3 * 256]
    if not any(palette[:3]):
        return False
    used = [index for index, count in enumerate(image.histogram()) if count]
    return any(palette[3 * i : 3 * i + 3] == [0, 0, 0] for i in used)


def _checked(values: PixelValues) -> PixelValues:
    if values.min() < 0:
        raise InstsegError(f"pixels run from {values.min()} to {values.max()}, expected 0 and more")
    return values


def _whole(values: PixelValues) -> NDArray[np.int32]:
    if not np.isfinite(values).all() or np.abs(values).max() > COLOUR or (values != np.floor(values)).any():
        raise InstsegError("pixels are fractions, expected whole numbers")
    return values.astype(np.int32)


def _colour_values(pixels: NDArray[np.uint8]) -> PixelValues:
    """Convert pixels (H, W, 3 or 4) to values (H, W), of 8 bits if all are gray; a few rows at a time for memory."""
    values = np.empty(pixels.shape[:2], dtype=np.int32)
    for row in range(0, len(pixels), ROWS_AT_A_TIME):
        values[row : row + ROWS_AT_A_TIME] = _packed(pixels[row : row + ROWS_AT_A_TIME])
    if values.max() >= COLOUR:
        return values
    opaque = pixels[..., 3:] >= 128  # (H, W, 0) where there is no alpha
    if not values.any() and not opaque.all():
        return opaque[..., 0].astype(np.uint8) * np.uint8(255)
    return values.astype(np.uint8)


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    values = np.where((red == green) & (green == blue), red, COLOUR + (red << 16) + (green << 8) + blue)
    if pixels.shape[2] == 4:
        values[pixels[..., 3] < 128] = 0
    return values


def _is_soft(values: PixelValues, max_values: int) -> bool:
    """Tell whether a gray image is black and white but for its edges. Numbered instances leave most values unused."""
    if values.dtype != np.uint8:
        return False
    counts = cv2.calcHist([values], [0], None, [256], [0, 256])
    between, bright = float(counts[DARK:BRIGHT].sum()), float(counts[BRIGHT:].sum())
    return int((counts > 0).sum()) > max_values and between < SOFT_FRACTION * (between + bright)


def _is_white_on_black(values: PixelValues) -> bool:
    return int(values.max()) == 255 and bool(((values == 255) | (values == 0)).all())


def read_mask_as(path: Path, sizes: Sequence[ImageSize]) -> Mask:
    """Decode a mask in the size of its image.

    Args:
        path: the mask file.
        sizes: (height, width) of the image, one for each frame that the mask may be in. The mask's own size is kept
            if it is among them, otherwise the mask is scaled to the first one of the same aspect ratio.

    Raises:
        InstsegError: the mask has another aspect ratio than all of them, or cannot be decoded.
    """
    mask = read_mask(path)
    fitting = [size for size in sizes if is_scaled(mask.size, size)]
    if not fitting:
        shown = " or ".join(f"{width}x{height}" for height, width in dict.fromkeys(sizes))
        raise InstsegError(f"{path}: is {mask.size[1]}x{mask.size[0]}, its image {shown}")
    return replace(mask, values=resized(mask.values, mask.size if mask.size in fitting else fitting[0]))


def is_scaled(mask_size: ImageSize, image_size: ImageSize) -> bool:
    """Tell whether two sizes have the same aspect ratio within rounding.

    Args:
        mask_size: (height, width) in px.
        image_size: (height, width) in px.
    """
    small, large = sorted((mask_size, image_size))
    by_width, by_height = small[1] / large[1], small[0] / large[0]
    off = min(abs(large[0] * by_width - small[0]), abs(large[1] * by_height - small[1]))
    return off <= SIZE_TOLERANCE_PX


def resized(values: PixelValues, size: ImageSize) -> PixelValues:
    """Scale pixel values: each pixel takes the value under its centre.

    Args:
        values: (H, W).
        size: the new (height, width) in px.
    """
    if values.shape == size:
        return values
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(np.int64) for n, m in zip(size, values.shape, strict=True))
    picked: PixelValues = values[rows][:, columns]
    return picked
