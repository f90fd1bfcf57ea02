"""Images that were sent: what they are is looked at before they are decoded, and decoded as files are."""

from __future__ import annotations

import re
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ValueRange
from instseg.data.reading.images import read_image, read_image_header
from instseg.data.reading.pixel_limits import TooManyPixelsError
from instseg.deploy.serving.limits import NO_IMAGE, TOO_LARGE, UNUSABLE, Limits, RefusedError

KINDS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM|II[*+]\0|MM\0[*+]|P[1-6]\s|"
    rb"\0\0\0\x0cjP  \r\n|....ftyp(?:avi[fs]|hei[cx]|mif1|hevc|msf1)",
    re.DOTALL,
)
"""First bytes of the images that are opened: Pillow knows others, such as PostScript, which are programs. HEIC is among
them so that it is answered with what to do."""
HEAD_BYTES = 16


def check_image(path: Path, limits: Limits) -> None:
    """Look at the header of an image; no pixel is decoded.

    Args:
        path: of the file.
        limits: of its pixels.

    Raises:
        RefusedError: it is no image, or too large a one.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not KINDS.match(head):
        raise RefusedError(NO_IMAGE, f"not an image that can be read ({_begins(head)}): expected JPEG, PNG, WebP, TIFF")
    try:
        header = read_image_header(path)
    except InstsegError as error:
        status = TOO_LARGE if isinstance(error.__cause__, TooManyPixelsError) else NO_IMAGE
        raise RefusedError(status, _without_path(error, path)) from error
    limits.check_pixels(*header.size)


def decode_image(path: Path, value_range: ValueRange | None = None) -> Image:
    """Decode an image as one of a folder is decoded.

    Args:
        path: of the file.
        value_range: of the predictor, see ``read_image``.

    Raises:
        RefusedError: it is not whole, or of a kind whose range is not known.
    """
    try:
        return read_image(path, value_range=value_range)
    except InstsegError as error:
        raise RefusedError(UNUSABLE, _without_path(error, path)) from error


def _begins(head: bytes) -> str:
    return f"it starts with {head[:8]!r}" if head else "it is empty"


def _without_path(error: InstsegError, path: Path) -> str:
    return str(error).replace(f"{path}: ", "").replace(str(path), "the image")
