"""Sheets of several pictures, and writing of pictures to files."""

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
from instseg.visualization.text import Colour, fitting, text_mask, write_text

PAPER: Colour = (255, 255, 255)
INK: Colour = (20, 20, 20)


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
    wide = max(picture.shape[1] / picture.shape[0] for picture in (left, right)) > 2.5
    limit = (height, round(height * 2.5))  # a panorama is fitted by its width instead
    tiles = [_captioned(_fit(p, limit), c) for p, c in zip((left, right), captions, strict=True)]
    gap = max(4, height // 80)
    return _column(tiles, gap) if wide else _row(tiles, gap)


def contact_sheet(
    images: Sequence[Image], columns: int = 4, tile_px: int = 560, captions: Sequence[str] | None = None
) -> Image:
    """Arrange pictures in a grid whose rows are as low as they can be.

    Args:
        images: each (H, W, 3) uint8 RGB.
        columns: pictures in a row.
        tile_px: side of the square into which each is fitted.
        captions: text above each.

    Raises:
        InstsegError: there is no image.
    """
    if not images:
        raise InstsegError("contact sheet: expected at least one image, found none")
    tiles = [_fit(image, (tile_px, tile_px)) for image in images]
    gap = max(4, tile_px // 80)
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        row = [_centred(tile, max(other.shape[0] for other in row), tile_px) for tile in row]
        if captions is not None:
            row = [_captioned(tile, text) for tile, text in zip(row, captions[start:], strict=False)]
        rows.append(_row(row, gap))
    return _column(rows, gap)


def _fit(image: Image, limit: ImageSize) -> Image:
    """Scale, up or down, to the largest size within (height, width)."""
    scale = min(limit[0] / image.shape[0], limit[1] / image.shape[1])
    width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation).astype(np.uint8, copy=False)


def _centred(image: Image, height: int, width: int) -> Image:
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    tile = np.full((height, width, 3), PAPER, np.uint8)
    tile[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tile


def _captioned(image: Image, caption: str) -> Image:
    size_px = max(12, round(math.sqrt(image.shape[0] * image.shape[1]) / 30))
    letters = text_mask(fitting(caption, size_px, image.shape[1] - size_px), size_px)
    strip = np.full((letters.shape[0] + size_px // 2, image.shape[1], 3), PAPER, np.uint8)
    write_text(strip, letters, (min(size_px // 2, strip.shape[1] - 1), size_px // 4), INK)
    return np.concatenate([strip, image])


def _row(tiles: Sequence[Image], gap: int) -> Image:
    height = max(tile.shape[0] for tile in tiles)
    padded = [cv2.copyMakeBorder(t, 0, height - t.shape[0], 0, gap, cv2.BORDER_CONSTANT, value=PAPER) for t in tiles]
    return np.concatenate(padded, axis=1)[:, :-gap].astype(np.uint8, copy=False)


def _column(tiles: Sequence[Image], gap: int) -> Image:
    width = max(tile.shape[1] for tile in tiles)
    padded = [cv2.copyMakeBorder(t, 0, gap, 0, width - t.shape[1], cv2.BORDER_CONSTANT, value=PAPER) for t in tiles]
    return np.concatenate(padded)[:-gap].astype(np.uint8, copy=False)


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
