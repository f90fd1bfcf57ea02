"""Remarks on images that hold more than eight bits of red, green and blue: what of them is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from instseg.core.errors import InstsegError
from instseg.core.types import ValueRange
from instseg.data.reading.deep_pixels import range_up_to
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import ListedImage
from instseg.data.reading.images import largest_value
from instseg.data.reading.threads import map_in_threads

ALL_BITS = (0, 65535)


def note_kind(image: ListedImage, findings: Findings) -> None:
    """Note bands and pages that are not used.

    Args:
        image: with its header.
        findings: gets the remarks.
    """
    if image.header is None:
        return
    name, kind = image.entry["file_name"], image.header.kind
    if kind.num_bands > 3:
        findings.add("image_bands", f"{name} ({kind.num_bands} bands)")
    if kind.num_pages > 1:
        findings.add("image_pages", f"{name} ({kind.num_pages} pages)")


def range_used(images: Mapping[str, Sequence[ListedImage]], findings: Mapping[str, Findings]) -> ValueRange | None:
    """Return the one range of all images of 16 bits, which are decoded for it: scaled alone, each would differ.

    Args:
        images: split -> its images.
        findings: split -> what gets the images that use fewer bits.

    Returns:
        From 0, of the fewest bits that hold the values of all; None where there is no such image.
    """
    deep = [(split, image) for split, some in images.items() for image in some if _is_deep(image)]
    largest = list(map_in_threads(_largest, [image for _, image in deep], "Reading the range of 16 bits"))
    if not any(largest):
        return None
    common = range_up_to(max(largest))
    for (split, image), value in zip(deep, largest, strict=True):
        if value and range_up_to(value) != ALL_BITS:
            text = f"{image.entry['file_name']} (values up to {value:,}; 0 to {common[1]:,} become black to white)"
            findings[split].add("image_value_range", text)
    return common


def _is_deep(image: ListedImage) -> bool:
    return image.header is not None and image.header.kind.is_deep


def _largest(image: ListedImage) -> int:
    try:
        return largest_value(image.path)
    except InstsegError:  # told where it is decoded
        return 0
