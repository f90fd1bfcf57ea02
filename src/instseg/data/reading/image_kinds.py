"""Remarks on images that hold more than eight bits of red, green and blue: what of them is used."""

from __future__ import annotations

from instseg.core.errors import InstsegError
from instseg.core.types import ValueRange
from instseg.data.reading.deep_pixels import bits_used
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import ListedImage
from instseg.data.reading.images import largest_value

MAX_DECODED = 32
"""Images of 16 bits in a split that are decoded to tell their range."""


def note_kind(image: ListedImage, findings: Findings, value_range: ValueRange | None = None) -> None:
    """Note bands and pages that are not used, and 16 bits of which fewer are.

    Args:
        image: with its header.
        findings: gets the remarks.
        value_range: of 16 bits, where it is given.
    """
    if image.header is None:
        return
    name, kind = image.entry["file_name"], image.header.kind
    if kind.num_bands > 3:
        findings.add("image_bands", f"{name} ({kind.num_bands} bands)")
    if kind.num_pages > 1:
        findings.add("image_pages", f"{name} ({kind.num_pages} pages)")
    if kind.is_deep and value_range is None and len(findings.names.get("image_value_range", ())) < MAX_DECODED:
        _note_range(image, name, findings)


def _note_range(image: ListedImage, name: str, findings: Findings) -> None:
    try:
        largest = largest_value(image.path)
    except InstsegError:  # told where it is decoded
        return
    if largest > 0 and bits_used(largest) < 16:
        findings.add("image_value_range", f"{name} (values up to {largest:,}: {bits_used(largest)} of 16 bits)")
