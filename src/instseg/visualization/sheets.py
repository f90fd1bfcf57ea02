"""Sheets of several pictures that fit a screen, and writing of pictures to files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PilImage

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize
from instseg.visualization.colours import Colour
from instseg.visualization.text import fitting, font_of, text_mask, write_text

PAPER: Colour = (255, 255, 255)
INK: Colour = (20, 20, 20)
SCREEN: ImageSize = (1080, 1920)
"""Height and width, px."""
WIDE = 3.0
"""Width of an image over its height from which it is cut into rows."""
MAX_ROWS = 16
ROW_GAP_PX, SHEET_GAP_PX = 3, 6
CAPTION_PX = 13, 22
"""Smallest and largest letters above a picture."""


def fit(size: ImageSize, limit: ImageSize) -> tuple[ImageSize, int]:
    """Choose the size of a picture and the number of rows into which it is cut, so that it is as large as it can be.

    Args:
        size: height and width of the image.
        limit: height and width of the place for it.

    Returns:
        Height and width before it is cut, and the rows: 1 but for images that are WIDE.
    """
    height, width = size

    def scale(rows: int) -> float:
        return min((limit[0] - ROW_GAP_PX * (rows - 1)) / (rows * height), limit[1] * rows / width)

    rows = max(range(1, MAX_ROWS + 1), key=scale) if width > WIDE * height else 1
    return (max(1, math.floor(height * scale(rows))), max(1, math.floor(width * scale(rows)))), rows


def wrapped(picture: Image, rows: int) -> Image:
    """Cut a wide picture into rows, one below the other.

    Args:
        picture: (H, W, 3) uint8 RGB.
        rows: number of rows.
    """
    width = math.ceil(picture.shape[1] / rows)
    parts = [picture[:, start : start + width] for start in range(0, picture.shape[1], width)]
    return parts[0] if rows == 1 else stacked(parts, ROW_GAP_PX)


def side_by_side(
    left: Image, right: Image, captions: tuple[str, str] = ("ground truth", "prediction"), height_px: int | None = None
) -> Image:
    """Put two pictures of one image beside each other; wide ones one above the other.

    Args:
        left: (H, W, 3) uint8 RGB.
        right: (H, W, 3) uint8 RGB, of any size.
        captions: text above each.
        height_px: height of each picture; None takes that of the larger.
    """
    height = height_px or max(left.shape[0], right.shape[0])
    wide = max(picture.shape[1] / picture.shape[0] for picture in (left, right)) > WIDE
    limit = (height, round(height * WIDE))  # a panorama is fitted by its width instead
    tiles = [_captioned(_fitted(p, limit), c) for p, c in zip((left, right), captions, strict=True)]
    gap = max(4, height // 80)
    return stacked(tiles, gap) if wide else _row(tiles, gap)


def tile_size(num_images: int, columns: int, screen: ImageSize = SCREEN) -> ImageSize:
    """Return height and width of the tiles of a sheet with captions that fits a screen.

    Args:
        num_images: number of pictures.
        columns: pictures in a row.
        screen: height and width of the whole sheet.
    """
    rows = math.ceil(num_images / columns)
    width = (screen[1] - SHEET_GAP_PX * (columns - 1)) // columns
    height = (screen[0] - SHEET_GAP_PX * (rows - 1)) // rows - _caption_height(_caption_px(width))
    return max(1, height), max(1, width)


def contact_sheet(
    images: Sequence[Image], columns: int, tile: ImageSize, captions: Sequence[str] | None = None
) -> Image:
    """Arrange pictures in a grid whose rows are as low as they can be.

    Args:
        images: each (H, W, 3) uint8 RGB.
        columns: pictures in a row.
        tile: height and width into which each is fitted.
        captions: text above each.

    Raises:
        InstsegError: there is no image.
    """
    if not images:
        raise InstsegError("contact sheet: expected at least one image, found none")
    tiles = [_fitted(image, tile) for image in images]
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        row = [_centred(picture, max(other.shape[0] for other in row), tile[1]) for picture in row]
        if captions is not None:
            row = [_captioned(picture, text) for picture, text in zip(row, captions[start:], strict=False)]
        rows.append(_row(row, SHEET_GAP_PX))
    return stacked(rows, SHEET_GAP_PX)


def stacked(pictures: Sequence[Image], gap: int = 0) -> Image:
    """Put pictures one below the other.

    Args:
        pictures: each (H, W, 3) uint8 RGB; what is narrower than the widest is filled up at its right.
        gap: px between them.
    """
    width = max(picture.shape[1] for picture in pictures)
    padded = [cv2.copyMakeBorder(p, 0, gap, 0, width - p.shape[1], cv2.BORDER_CONSTANT, value=PAPER) for p in pictures]
    return np.concatenate(padded)[: -gap or None].astype(np.uint8, copy=False)


def _fitted(image: Image, limit: ImageSize) -> Image:
    """Scale, up or down, to the largest size within (height, width)."""
    scale = min(limit[0] / image.shape[0], limit[1] / image.shape[1])
    width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if (height, width) == image.shape[:2]:
        return image
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation).astype(np.uint8, copy=False)


def _centred(image: Image, height: int, width: int) -> Image:
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    tile = np.full((height, width, 3), PAPER, np.uint8)
    tile[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tile


def _caption_px(width: int) -> int:
    """Choose the letter size of a caption by the width of its picture."""
    return min(max(CAPTION_PX[0], width // 36), CAPTION_PX[1])


def _caption_height(size_px: int) -> int:
    return sum(font_of(size_px).getmetrics()) + size_px // 2


def _captioned(image: Image, caption: str) -> Image:
    size_px = _caption_px(image.shape[1])
    letters = text_mask(fitting(caption, size_px, image.shape[1] - size_px), size_px)
    strip = np.full((_caption_height(size_px), image.shape[1], 3), PAPER, np.uint8)
    write_text(strip, letters, (min(size_px // 2, strip.shape[1] - 1), size_px // 4), INK)
    return np.concatenate([strip, image])


def _row(tiles: Sequence[Image], gap: int) -> Image:
    height = max(tile.shape[0] for tile in tiles)
    padded = [cv2.copyMakeBorder(t, 0, height - t.shape[0], 0, gap, cv2.BORDER_CONSTANT, value=PAPER) for t in tiles]
    return np.concatenate(padded, axis=1)[:, :-gap].astype(np.uint8, copy=False)


def write_image(path: Path, picture: Image) -> None:
    """Write a .png or .jpg atomically: a reader sees the old picture or the new one.

    Args:
        path: the file, whose suffix decides; its folder is made where it is missing.
        picture: (H, W, 3) uint8 RGB.
    """
    with replacing(path) as scratch:
        if path.suffix == ".png":
            PilImage.fromarray(picture).save(scratch, "PNG", compress_level=1)
        else:
            PilImage.fromarray(picture).save(scratch, "JPEG", quality=92)
