"""Images as users give them: paths, Pillow images, arrays and tensors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ValueRange
from instseg.core.windows import LargeImage
from instseg.data.reading.arrays import CHANNELS, array_to_image
from instseg.data.reading.images import image_pixels, read_image
from instseg.data.reading.tiff_windows import open_windows

if TYPE_CHECKING:
    from torch import Tensor

ImageLike: TypeAlias = Union[str, os.PathLike[str], PilImage.Image, NDArray[np.generic], "Tensor"]
"""One image: a path, an image of Pillow, an array (H, W[, C]) in RGB order, or a tensor ([C, ]H, W)."""
EXPECTED = "expected a path, a Pillow image, an array (height, width, 3) in RGB order, a tensor (3, height, width)"


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image to predict on: a file, which is read whenever its pixels are needed, or pixels in memory."""

    name: str
    """Of its file, or of the one that it is written to."""
    path: Path | None
    memory: Image | None = None
    value_range: ValueRange | None = None
    """Of a file of 16 bits, see ``read_image``."""
    is_large: bool = False
    """True where it was predicted in tiles and its file is read by windows."""

    def decoded(self) -> Image | LargeImage:
        """Return the pixels, or the open file of a large image."""
        large = open_windows(self.path, self.value_range) if self.is_large and self.path is not None else None
        return self.pixels() if large is None else large

    def pixels(self) -> Image:
        """Return uint8 (H, W, 3) RGB, upright."""
        if self.memory is not None:
            return self.memory
        return read_image(self.path or self.name, value_range=self.value_range)


def source_image(given: object, number: int = 1, value_range: ValueRange | None = None) -> SourceImage:
    """Turn what a user gives as one image into one.

    Args:
        given: an ``ImageLike``.
        number: its position among the images, from 1: the name of one that has no file.
        value_range: of 16 bits, that becomes 0 to 255; None for the range that the image uses.

    Raises:
        InstsegError: it is no image; the message says what was expected.
    """
    if isinstance(given, str | os.PathLike):
        return replace(_from_path(given), value_range=value_range)
    return SourceImage(f"image_{number}.png", None, _pixels(given, value_range))


def source_images(given: Iterable[object], value_range: ValueRange | None = None) -> list[SourceImage]:
    """Turn several images, of mixed kinds, into as many; an error names the position of the image.

    Args:
        given: each an ``ImageLike``.
        value_range: as of ``source_image``.

    Raises:
        InstsegError: they are no list, or one of them is no image.
    """
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        raise InstsegError(f"image: {EXPECTED}, or a list of these, found {type(given).__name__}")
    entries, images = list(given), list[SourceImage]()
    for number, entry in enumerate(entries, start=1):
        try:
            images.append(source_image(entry, number, value_range))
        except InstsegError as error:
            raise InstsegError(f"image {number} of {len(entries)}: {error}") from error
    return images


def _from_path(given: str | os.PathLike[str]) -> SourceImage:
    path = Path(given).expanduser().absolute()
    if path.is_dir():
        raise InstsegError(f"{given}: a folder, expected an image; for all images in it: model.predict_folder(…)")
    if not path.is_file():
        remedy = "; a URL has to be downloaded first" if "://" in str(given) else f" in {Path.cwd()}"
        raise InstsegError(f"{given}: no such file{remedy if not Path(given).is_absolute() else ''}")
    return SourceImage(path.name, path)


def _pixels(given: object, value_range: ValueRange | None) -> Image:
    if isinstance(given, PilImage.Image):
        return image_pixels(given, value_range=value_range)
    if _is_tensor(given):
        return array_to_image(_channels_last(given), value_range)
    if isinstance(given, np.ndarray) or hasattr(given, "__array__"):
        return array_to_image(np.asarray(given), value_range)
    raise InstsegError(f"{EXPECTED}, found {type(given).__name__}")


def _is_tensor(given: object) -> TypeGuard[Tensor]:
    """Tell whether this is a tensor of PyTorch; where nobody has imported it, nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def _channels_last(tensor: Tensor) -> NDArray[np.generic]:
    """Return a tensor, whose channels come first, as an array."""
    values = tensor.detach().cpu()
    if values.is_floating_point():
        values = values.float()  # NumPy has no bfloat16
    if values.ndim != 3:
        return values.numpy()
    if values.shape[0] not in CHANNELS:
        remedy = "; the channels come last here: image.permute(2, 0, 1)" if values.shape[2] in CHANNELS else ""
        raise InstsegError(f"{tensor.dtype} tensor of {tuple(tensor.shape)}: expected (3, height, width){remedy}")
    return values.permute(1, 2, 0).numpy()
