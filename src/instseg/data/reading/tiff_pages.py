"""Pages of TIFFs: how many there are, and one of them as a file of its own."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.data.reading.deep_pixels import kind_of
from instseg.data.reading.images import read_image_header
from instseg.data.reading.pixel_limits import check_pixels, room_for

SUFFIXES = (".tif", ".tiff")


def num_pages(path: Path) -> int:
    """Return the number of pages; 1 for a file that cannot be read, which is told when it is."""
    if path.suffix.lower() not in SUFFIXES:
        return 1
    try:
        return read_image_header(path).kind.num_pages
    except InstsegError:
        return 1


def write_page(source: Path, number: int, target: Path) -> None:
    """Write a page as a TIFF with the same pixels.

    Args:
        source: a file of any number of pages.
        number: from 0.
        target: its folder is made.

    Raises:
        InstsegError: there is no such page, or it cannot be decoded.
    """
    count = num_pages(source)
    if number >= count:
        pages = "1 page, which is 0" if count == 1 else f"{count} pages, 0 to {count - 1}"
        raise InstsegError(f"{source}: expected page={number}, found {pages}")
    try:
        with PilImage.open(source) as image:
            if count > 1:
                image.seek(number)
            check_pixels(*image.size)
            if kind_of(image).is_deep and not image.mode.startswith("I"):
                raise InstsegError("has 16 bits in colour: write the page as a file of its own")
            target.parent.mkdir(parents=True, exist_ok=True)
            with room_for(*image.size):
                image.save(target, format="TIFF", compression="tiff_lzw")
    except Exception as error:  # a damaged file makes the decoders raise nearly anything
        raise InstsegError(f"{source}: page {number} cannot be read: {error or type(error).__name__}") from error
