"""Text on pictures: letters, their size, and a colour in which they can be read."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from instseg.core.types import Image, ImageSize
from instseg.visualization.colours import Colour

MIN_LETTER_PX = 11
LETTER_PX, LETTER_AT_PX, LETTER_GROWTH = 14.0, 554.0, 0.75
"""Letters of 14 px on a picture of 640 x 480, whose area has this root; they grow with this power of the root, as a
larger picture is looked at from further away, and yet in more detail."""


def crowding(num_instances: int) -> float:
    """Return the factor by which names shrink to leave the picture visible: 1 up to ten instances, falling to 0.7."""
    return min(1.0, max(0.7, math.sqrt(10 / max(num_instances, 1))))


def letter_px(size: ImageSize, num_instances: int = 0) -> int:
    """Choose a letter size that follows the picture, yet leaves a narrow strip room for more than a letter.

    Args:
        size: height and width of the picture.
        num_instances: number of names on it.
    """
    return max(MIN_LETTER_PX, round(min(_letter(size, num_instances), min(size) / 7)))


def line_px(size: ImageSize, num_instances: int = 0) -> int:
    """Choose a width of lines that goes with the letters, and is finer where these cannot be smaller.

    Args:
        size: height and width of the picture.
        num_instances: number of names on it.
    """
    return max(1, round(_letter(size, num_instances) / 7))


def _letter(size: ImageSize, num_instances: int) -> float:
    scale = math.sqrt(size[0] * size[1]) / LETTER_AT_PX
    return LETTER_PX * math.pow(scale, LETTER_GROWTH) * crowding(num_instances)


@lru_cache(maxsize=32)
def font_of(size_px: int) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which comes with matplotlib: the same letters on every machine."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size_px)


@lru_cache(maxsize=2048)
def text_mask(text: str, size_px: int) -> NDArray[np.uint8]:
    """Render a line of text; all lines of a size are equally high.

    Args:
        text: printable characters.
        size_px: size of the letters.

    Returns:
        (h, w) coverage 0..255.
    """
    font = font_of(size_px)
    ascent, descent = font.getmetrics()
    width = max(1, int(np.ceil(font.getlength(text))))
    picture = PilImage.new("L", (width, ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=font)
    return np.asarray(picture)


def fitting(text: str, size_px: int, width: int) -> str:
    """Cut off the end of a text that is too wide, and blank control characters.

    Args:
        text: one line.
        size_px: size of the letters.
        width: room for it in pixels.
    """
    start = text[: max(width, 0) + 1]  # hardly a letter is narrower than a pixel
    start = "".join(letter if letter.isprintable() else " " for letter in start)  # text layout fails on them
    font = font_of(size_px)
    if len(start) == len(text) and font.getlength(start) <= width:
        return start
    length = bisect_right(range(1, len(start) + 1), width, key=lambda n: math.ceil(font.getlength(f"{start[:n]}…")))
    return f"{start[:length]}…"


def contrasting(colour: Colour) -> Colour:
    """Return black or white, whichever contrasts more (relative luminance of WCAG 2.1)."""
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def write_text(picture: Image, letters: NDArray[np.uint8], corner: tuple[int, int], colour: Colour) -> None:
    """Lay letters on a picture in place, cut at its edges.

    Args:
        picture: (H, W, 3) uint8 RGB, drawn on.
        letters: (h, w) coverage 0..255.
        corner: x, y of the letters' first pixel.
        colour: RGB of the letters.
    """
    left, top = corner
    region = picture[top : top + letters.shape[0], left : left + letters.shape[1]]
    opacity = letters[: region.shape[0], : region.shape[1], None].astype(np.float32) / 255
    region[:] = np.rint(region * (1 - opacity) + np.array(colour, np.float32) * opacity)
