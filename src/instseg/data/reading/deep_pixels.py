"""Pixels that Pillow does not hand out as a person means them: 12 and 16 bits a channel, and bands besides RGB."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import TiffImagePlugin
from PIL.ImageFile import ImageFile

from instseg.core.types import ValueRange

BITS, BANDS, EXTRA, PHOTOMETRIC = 258, 277, 338, 262  # tags of TIFF
RGB, PREMULTIPLIED = 2, 1  # values of PHOTOMETRIC and EXTRA
ROWS_AT_A_TIME = 256
OPACITY_FRACTION = 0.9
"""Of the pixels, which are wholly opaque or transparent where a fourth band is opacity; near infrared is neither."""


@dataclass(frozen=True, slots=True)
class ImageKind:
    """The kind of an image's pixels, from its header."""

    num_bands: int = 3  # of a TIFF, opacity included; others have no bands besides colour and opacity
    num_pages: int = 1
    is_deep: bool = False  # 16 bits a channel
    is_unknown: bool = False  # nothing says which of several bands are red, green and blue


USUAL = ImageKind()


def kind_of(image: PilImage.Image) -> ImageKind:
    """Read the kind of an image that is open."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return ImageKind(is_deep=image.mode.startswith("I") or _is_deep_png(image))
    num_bands = int(image.tag_v2.get(BANDS, 1))
    has_opacity = bool(image.tag_v2.get(EXTRA, (0,))[0])
    is_unknown = num_bands > 1 and image.mode in ("L", "I;16", "I") and not has_opacity
    is_deep = image.mode.startswith("I") or set(image.tag_v2.get(BITS, (8,))) == {16}
    return ImageKind(num_bands, getattr(image, "n_frames", 1), is_deep, is_unknown)


def _is_deep_png(image: PilImage.Image) -> bool:
    tile = getattr(image, "tile", None)
    return image.format == "PNG" and isinstance(tile, list) and bool(tile) and ";16" in str(tile[0][3])


def too_many_bands(num_bands: int) -> str:
    """Return the sentence about an image whose bands have no known meaning."""
    return (
        f"has {num_bands} bands, and nothing says which are red, green and blue: images of three channels are read, so "
        "write these three as an RGB file"
    )


def bands_of_tiff(path: Path) -> int | None:
    """Return the number of bands of a TIFF that Pillow cannot open; None where it is no TIFF."""
    try:
        with path.open("rb") as file:
            directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(directory.next)
            directory.load(file)
            return int(directory.get(BANDS, 1))
    except Exception:  # a damaged file makes the parser raise nearly anything
        return None


def deep_image(image: PilImage.Image, value_range: ValueRange | None = None) -> PilImage.Image | None:
    """Return an image of 16 bits a channel as 8 bits.

    Args:
        image: open, its orientation not applied; where it is gray, its values are of 16 bits.
        value_range: see ``to_8_bits``.

    Returns:
        Gray, RGB or RGBA as stored; None where it has 8 bits, or OpenCV cannot read it.
    """
    if image.mode.startswith("I"):
        return PilImage.fromarray(to_8_bits(np.asarray(image).astype(np.uint16, copy=False), value_range))
    stored = _stored(image) if kind_of(image).is_deep else None
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    pixels = to_8_bits(stored.astype(np.uint16, copy=False), value_range)
    ordered = np.ascontiguousarray(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]])
    return PilImage.fromarray(ordered[..., :3] if image.format == "TIFF" else ordered)


def _stored(image: PilImage.Image) -> NDArray[np.generic] | None:
    """Decode the bytes of an image as they are stored, by OpenCV: channels blue, green, red."""
    if isinstance(image, ImageFile) and image.filename:
        data = Path(os.fsdecode(image.filename)).read_bytes()
    elif isinstance(image, ImageFile) and image.fp is not None:
        place = image.fp.tell()
        image.fp.seek(0)
        data = image.fp.read()
        image.fp.seek(place)
    else:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def range_up_to(largest: int) -> ValueRange:
    """Return the range from 0 of the fewest bits that hold a value, at least 8: a camera of 12 bits seldom uses all."""
    return 0, (1 << max(8, largest.bit_length())) - 1


def to_8_bits(values: NDArray[np.uint16], value_range: ValueRange | None = None) -> NDArray[np.uint8]:
    """Scale values of 16 bits to 8.

    Args:
        values: (H, W) or (H, W, channels).
        value_range: that becomes 0 to 255, what lies outside of it being cut; None for the fewest bits that
            hold the values, at least 8.

    Returns:
        Of the shape of the values.
    """
    low, high = value_range or range_up_to(int(values.max(initial=0)))
    span = high - low
    scaled = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS_AT_A_TIME):
        some = values[row : row + ROWS_AT_A_TIME].clip(low, high) - np.uint16(low)
        scaled[row : row + ROWS_AT_A_TIME] = (some.astype(np.uint32) * 255 + span // 2) // span
    return scaled


def without_fourth_band(image: PilImage.Image) -> PilImage.Image:
    """Return a TIFF of four bands as RGB if the fourth is no opacity but, say, near infrared; else as it is."""
    if image.format != "TIFF" or image.mode != "RGBA":
        return image
    opacity = np.asarray(image.getchannel("A"))
    if ((opacity == 0) | (opacity == 255)).mean() >= OPACITY_FRACTION:
        return image
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(EXTRA, (0,))[0] == PREMULTIPLIED:
        stored = _stored(image)  # Pillow has divided the colours by the fourth band
        if stored is not None and stored.shape[:2] == opacity.shape and stored.ndim == 3:
            return PilImage.fromarray(np.ascontiguousarray(stored[..., 2::-1].astype(np.uint8)))
    return image.convert("RGB")


def range_of(image: PilImage.Image) -> int:
    """Return the largest value of an image of 16 bits a channel that is open; 0 where it cannot be told."""
    stored = np.asarray(image) if image.mode.startswith("I") else _stored(image)
    return 0 if stored is None or not np.issubdtype(stored.dtype, np.integer) else int(stored.max(initial=0))
