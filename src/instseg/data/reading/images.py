"""Images as a person sees them: upright, RGB, 8 bits a channel, whatever the file holds.

One decoder, Pillow. OpenCV gives the same pixels on plain JPEG and is 1.1 times as fast, which does not pay for a
second route with its own ideas of palettes, alpha, CMYK and orientation.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import TiffImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, ValueRange
from instseg.data.reading.deep_pixels import (
    USUAL,
    ImageKind,
    bands_of_tiff,
    deep_image,
    kind_of,
    range_of,
    too_many_bands,
    without_fourth_band,
)
from instseg.data.reading.pixel_limits import check_pixels, room_for
from instseg.data.reading.rgb_arrays import rgb_array

# Pillow's own limit is a global that warns from 89 and stops at 179 megapixels, whatever ours is.
PilImage.MAX_IMAGE_PIXELS = None

ORIENTATION_TAG, WIDTH_TAG, HEIGHT_TAG = 0x0112, 0x0100, 0x0101  # of TIFF, which EXIF builds on
_TRANSPOSE = {
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_270,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the stored pixels upright."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size and orientation of an image, known before any pixel is decoded."""

    size: ImageSize  # (height, width) as stored, before it is turned
    orientation: int  # EXIF, 1..8; 1 where the file has none
    kind: ImageKind = USUAL

    @property
    def displayed_size(self) -> ImageSize:
        """Size (height, width) as a person sees it: swapped where the orientation turns by a quarter."""
        return self.size if self.orientation < 5 else (self.size[1], self.size[0])


def read_image(path: str | Path, rotate: bool = True, value_range: ValueRange | None = None) -> Image:
    """Decode an image.

    Alpha is laid on white, 16 bits are scaled to 8 over the bits that an image uses (8 to 16), CMYK is
    converted without a colour profile. Of a TIFF the first page and the bands red, green and blue count, of an
    animation the first frame.

    Args:
        path: the file.
        rotate: apply the EXIF orientation.
        value_range: of 16 bits, that becomes 0 to 255; None for the range that the image uses.

    Returns:
        uint8 (H, W, 3) RGB, writable and contiguous.

    Raises:
        InstsegError: it is no image or not a whole one, with the file and the reason.
    """
    with decoding(path) as image:
        return image_pixels(image, rotate, value_range)


def image_pixels(image: PilImage.Image, rotate: bool = True, value_range: ValueRange | None = None) -> Image:
    """Decode an image that is open.

    Args:
        image: of Pillow, from a file or made in memory.
        rotate: apply the EXIF orientation.
        value_range: as of ``read_image``.

    Returns:
        As ``read_image``.

    Raises:
        InstsegError: its pixels are of a kind whose range is not known.
    """
    header = _header(image)
    _check_16_bits(image)
    deep = deep_image(image, value_range) if header.kind.is_deep else None
    if deep is not None:
        turned = image.format == "TIFF" and image.mode.startswith("I")  # by Pillow, as it decoded it
        return rgb_array(deep) if turned and rotate else rgb_array(*_turned(deep, header.orientation, rotate, turned))
    return rgb_array(*_turned(image, header.orientation, rotate))


def _check_16_bits(image: PilImage.Image) -> None:
    """Require values of 16 bits in an image of mode I, which has 32."""
    if image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InstsegError(f"pixels run from {values.min()} to {values.max()}, expected 0 to 65535 (16 bits)")


def read_image_header(path: str | Path) -> ImageHeader:
    """Read size and orientation from the header alone; no pixel is decoded.

    Raises:
        InstsegError: as ``read_image`` does.
    """
    with _opened(path) as image:
        return _header(image)


def largest_value(path: str | Path) -> int:
    """Decode an image of 16 bits a channel for its largest value; 0 where it cannot be told.

    Raises:
        InstsegError: as ``read_image`` does.
    """
    with decoding(path) as image:
        return range_of(image)


@contextmanager
def decoding(path: str | Path, scale: int = 1) -> Iterator[PilImage.Image]:
    """Open an image to decode it: threads wait for each other where together they would take too much memory.

    Args:
        path: the file.
        scale: the image is decoded at this fraction of its sides.

    Raises:
        InstsegError: as ``read_image`` does, also for what is raised meanwhile.
    """
    with _opened(path) as image, room_for(image.width // scale, image.height // scale):
        yield image


@contextmanager
def _opened(path: str | Path) -> Iterator[PilImage.Image]:
    """Open an image, not yet decoded; whatever its decoding raises becomes an InstsegError with the file's name."""
    try:
        with PilImage.open(path) as image:
            width, height = image.size
            check_pixels(width, height)
            yield image
    except FileNotFoundError as error:
        raise InstsegError(f"{path}: no such file") from error
    except UnidentifiedImageError as error:
        raise InstsegError(f"{path}: {_why_unidentified(Path(path))}") from error
    except Exception as error:  # a damaged file makes the decoders raise nearly anything
        raise InstsegError(f"{path}: cannot be read as an image: {error or type(error).__name__}") from error


def _why_unidentified(path: Path) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1"):
        return "HEIC images cannot be read here: convert them to JPEG or PNG first"
    if (num_bands := bands_of_tiff(path)) is not None and num_bands > 1:
        return too_many_bands(num_bands)
    return f"not an image that can be read (it starts with {start[:8]!r})"


def _header(image: PilImage.Image) -> ImageHeader:
    """Return the header of an image that is not decoded yet: then Pillow turns TIFFs, and forgets that it did."""
    if image.mode == "F":
        raise InstsegError("pixels are 32-bit floats, whose range is not known: convert the file to 8 or 16 bits")
    orientation = _orientation(image)
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # some versions of Pillow tell the displayed size, others not
        width, height = image.tag_v2[WIDTH_TAG], image.tag_v2[HEIGHT_TAG]
    kind = kind_of(image)
    if kind.is_unknown:
        raise InstsegError(too_many_bands(kind.num_bands))
    return ImageHeader((height, width), orientation, kind)


def _orientation(image: PilImage.Image) -> int:
    """Return the EXIF orientation, 1..8; 1 where EXIF is damaged, as in viewers. XMP is not read, as in browsers."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        value = image.tag_v2.get(ORIENTATION_TAG, 1)
    else:
        exif = PilImage.Exif()
        try:
            exif.load(image.info.get("exif") or _late_png_exif(image))
            value = exif.get(ORIENTATION_TAG, 1)
        except (SyntaxError, ValueError, KeyError, TypeError, IndexError, EOFError, struct.error):
            value = 1
    return value if value in _TRANSPOSE else 1


def _late_png_exif(image: PilImage.Image) -> bytes:
    """Read the EXIF that stands behind the pixels of a PNG, from chunk to chunk: Pillow would decode the file."""
    if image.format != "PNG" or not isinstance(image, ImageFile) or not image.filename:
        return b""  # without a name: it was opened from memory
    with Path(os.fsdecode(image.filename)).open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return b"Exif\0\0" + file.read(length)
            file.seek(length + 4, os.SEEK_CUR)
    return b""


def _turned(
    image: PilImage.Image, orientation: int, rotate: bool, is_upright: bool = False
) -> tuple[PilImage.Image, PilImage.Transpose | None]:
    """Return an image, and the turn that it still needs."""
    if image.format == "TIFF" or is_upright:
        image = without_fourth_band(image)  # decoded by Pillow, a TIFF comes out upright
        image.load()
        undo = {6: 8, 8: 6}.get(orientation, orientation)  # the quarter turns undo each other, the rest themselves
        return image, None if rotate else _TRANSPOSE.get(undo)
    return image, _TRANSPOSE.get(orientation) if rotate else None
