"""Text on pictures: names on plates that stay inside the picture and out of each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from instseg.core.types import Image, ImageSize

Colour = tuple[int, int, int]
PLATE_OPACITY = 0.9
Area = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels, end exclusive."""


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
    text = "".join(letter if letter.isprintable() else " " for letter in text)  # text layout fails on them
    if font_of(size_px).getlength(text) <= width:
        return text
    while text and font_of(size_px).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def draw_label(
    canvas: Image, box: NDArray[np.float64], text: str, colour: Colour, size_px: int, taken: list[Area]
) -> None:
    """Write a name near its box on a plate of its colour, in place.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn on.
        box: (4,) xyxy in pixels of the canvas.
        text: the name.
        colour: RGB of the plate.
        size_px: size of the letters.
        taken: areas of the plates so far; this one is appended.
    """
    height, width = canvas.shape[:2]
    pad = max(1, size_px // 6)
    letters = text_mask(fitting(text, size_px, width - 2 * pad), size_px)
    label_height, label_width = min(letters.shape[0], height), min(letters.shape[1] + 2 * pad, width)
    left, top = _label_corner(box, (label_height, label_width), (height, width), taken)
    taken.append((left, top, left + label_width, top + label_height))
    plate = canvas[top : top + label_height, left : left + label_width]
    plate[:] = np.rint(plate * (1 - PLATE_OPACITY) + np.array(colour) * PLATE_OPACITY)
    write_text(plate, letters, (pad, 0), contrasting(colour))


def _label_corner(
    box: NDArray[np.float64], label: ImageSize, size: ImageSize, taken: Sequence[Area]
) -> tuple[int, int]:
    """Choose a place above, inside, below or beside the box: the first that covers least of the labels so far."""
    x1, y1, x2, y2 = (round(v) for v in box)
    label_height, label_width = label
    candidates = [
        (x1, y1 - label_height),
        (x1, y1),
        (x1, y2),
        (x2 - label_width, y1 - label_height),
        (x1, y2 - label_height),
        (x2 - label_width, y2),
        (x2, y1),
        (x1 - label_width, y1),
        (x1, (y1 + y2 - label_height) // 2),
    ]
    inside = [(min(max(x, 0), size[1] - label_width), min(max(y, 0), size[0] - label_height)) for x, y in candidates]
    others = np.array(taken, np.int64).reshape(-1, 4)

    def covered(corner: tuple[int, int]) -> int:
        x, y = corner
        widths = np.minimum(others[:, 2], x + label_width) - np.maximum(others[:, 0], x)
        heights = np.minimum(others[:, 3], y + label_height) - np.maximum(others[:, 1], y)
        return int((widths.clip(0) * heights.clip(0)).sum())

    return min(inside, key=covered)  # the first of equals


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
