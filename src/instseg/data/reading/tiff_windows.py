"""Large TIFFs that are read window by window, in memory that does not depend on their size; rasterio does it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, ValueRange
from instseg.core.windows import Window
from instseg.data.reading.deep_pixels import BANDS, BITS, PHOTOMETRIC, range_up_to, to_8_bits
from instseg.data.reading.images import ORIENTATION_TAG

SUFFIXES = (".tif", ".tiff")
LEAST_PIXELS = 50_000_000
"""A smaller image is decoded whole: 150 MB at most."""
MAX_PIXELS = 2**32 - 1
"""Beyond this a run-length mask cannot count them."""
GRAY, RGB, YCBCR = 1, 2, 6  # values of PHOTOMETRIC; black is 0
STRIP_PIXELS = 1 << 23
CACHE_MB = 128
"""Decoded strips and blocks that GDAL keeps: tiles beside each other lie in the same ones."""


class DamagedWindowError(InstsegError):
    """A window that cannot be decoded, of a file whose header was sound.

    Args:
        path: the file.
        reason: of the decoder.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class TiffWindows:
    """A TIFF that is open; its windows may be read from several threads, which take turns.

    Args:
        path: of a file that ``reads_by_windows`` accepts.
        size: its height and width, px.
        value_range: of 16 bits, that becomes 0 to 255; None for the range that the image uses.

    Raises:
        DamagedWindowError: it cannot be opened.
    """

    def __init__(self, path: Path, size: ImageSize, value_range: ValueRange | None = None) -> None:
        self.path, self.size, self._given_range = path, size, value_range
        self._rasterio, self._lock = _rasterio(), threading.Lock()
        with self._reading(), warnings.catch_warnings():
            warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
            self._file = self._rasterio.open(path)

    def read(self, window: Window) -> Image:
        """Decode a window of the image.

        Args:
            window: within the image.

        Returns:
            uint8 (h, w, 3) RGB, with the values that ``read_image`` gives; of a TIFF with JPEG inside, where decoders
            differ at edges of colours, nearly these.

        Raises:
            DamagedWindowError: the file is damaged there.
        """
        values = self._values(window)
        deep = None if self._range is None else values.astype(np.uint16, copy=False)
        eight_bits = values if deep is None else to_8_bits(deep, self._range)
        rgb = np.repeat(eight_bits, 3, axis=0) if len(eight_bits) == 1 else eight_bits
        return np.ascontiguousarray(rgb.transpose(1, 2, 0), np.uint8)

    def shrunk(self, factor: int) -> Image:
        """Return the whole image in small, each pixel the mean of factor x factor; decoded in strips.

        Raises:
            DamagedWindowError: the file is damaged.
        """
        return np.concatenate([_shrunk(self.read(strip), factor) for strip in self._strips(factor)])

    def whole(self) -> Image:
        """Decode all of the image.

        Raises:
            DamagedWindowError: the file is damaged.
        """
        return self.read(Window(0, 0, self.size[1], self.size[0]))

    @cached_property
    def _range(self) -> ValueRange | None:
        """The range of its values of 16 bits; None where it has 8. Unless it is given, all are looked at, once."""
        if self._file.dtypes[0] != "uint16":
            return None
        if self._given_range is not None:
            return self._given_range
        largest = max(int(self._values(strip).max(initial=0)) for strip in self._strips(1))
        return range_up_to(largest)

    def _strips(self, factor: int) -> Iterator[Window]:
        height, width = self.size
        rows = max(1, STRIP_PIXELS // (width * factor)) * factor
        return (Window(0, top, width, min(top + rows, height)) for top in range(0, height, rows))

    def _values(self, window: Window) -> NDArray[np.generic]:
        """Return a window as stored, (bands, h, w)."""
        height, width = window.size
        place = self._rasterio.windows.Window(window.left, window.top, width, height)
        with self._lock, self._reading():
            values: NDArray[np.generic] = self._file.read(window=place)
        return values

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._rasterio.Env(GDAL_CACHEMAX=CACHE_MB):  # GDAL looks when it first decodes, not when it opens
                yield
        except self._rasterio.errors.RasterioError as error:
            raise DamagedWindowError(self.path, f"cannot be read as an image: {error}") from error


def open_windows(path: Path, value_range: ValueRange | None = None) -> TiffWindows | None:
    """Open an image that is better read by windows than as a whole.

    Args:
        path: of any file.
        value_range: of 16 bits, as of ``TiffWindows``.

    Returns:
        None where it is not large, is no TIFF whose pixels are gray or RGB, of 8 or 16 bits and upright, or rasterio is
        not installed; it has to be decoded whole then.

    Raises:
        InstsegError: it has more pixels than masks can have.
    """
    size = _size_of_readable(path) if path.suffix.lower() in SUFFIXES else None
    if size is None or size[0] * size[1] < LEAST_PIXELS:
        return None
    try:
        _rasterio()
    except ImportError:
        return None
    if size[0] * size[1] > MAX_PIXELS:
        raise InstsegError(f"{path}: {size[1]} x {size[0]} pixels, at most {MAX_PIXELS:,} can have masks")
    return TiffWindows(path, size, value_range)


def _size_of_readable(path: Path) -> ImageSize | None:
    """Return height and width of a TIFF whose windows have the values that ``read_image`` gives; None of any other."""
    try:
        with PilImage.open(path) as image:
            tags = getattr(image, "tag_v2", {})
            is_plain = image.mode in ("L", "RGB", "I;16") and tags.get(ORIENTATION_TAG, 1) == 1
            bands, bits = tags.get(BANDS, 1), set(tags.get(BITS, (8,)))
            is_known = bands in (1, 3) and bits in ({8}, {16}) and tags.get(PHOTOMETRIC) in (GRAY, RGB, YCBCR)
            return (image.height, image.width) if is_plain and is_known else None
    except Exception:  # a damaged file makes the parser raise nearly anything; whoever decodes it says so
        return None


def _rasterio() -> ModuleType:
    return import_module("rasterio")


def _shrunk(strip: Image, factor: int) -> Image:
    height, width = (-(-side // factor) for side in strip.shape[:2])
    return cv2.resize(strip, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
