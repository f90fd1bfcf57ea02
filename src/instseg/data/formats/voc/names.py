"""Names of the categories in SegmentationClass masks, as labelmap.txt, class_names.txt or VOC itself have them."""

from __future__ import annotations

import re
from pathlib import Path

from instseg.core.files import read_lines
from instseg.data.formats.mask_values import colour_value

VOC_CATEGORIES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
NO_CATEGORY = ("background", "_background_", "__ignore__", "void", "ignored")


def class_names(base: Path) -> dict[int, str]:
    """Read the category of each value in SegmentationClass masks, both as indices and as colours.

    Names come from ``labelmap.txt`` (CVAT: ``name:r,g,b:parts:actions``), else ``class_names.txt`` (LabelMe's
    converter: one per line, background first), else VOC's own. Missing colours are those of VOC's palette.
    """
    if (labelmap := base / "labelmap.txt").is_file():
        rows = [line.split(":") for line in read_lines(labelmap) if not line.startswith("#")]
        entries = [(row[0].strip(), _colour(row[1]) if len(row) > 1 else None) for row in rows]
        if entries and entries[0][0].lower() not in NO_CATEGORY:
            entries.insert(0, (NO_CATEGORY[0], None))
    elif (listed := base / "class_names.txt").is_file():
        entries = [(line, None) for line in read_lines(listed, keep_empty=True) if line != "__ignore__"]
    else:
        entries = [(name, None) for name in (NO_CATEGORY[0], *VOC_CATEGORIES)]
    names = {index: name for index, (name, _) in enumerate(entries)}
    for index, (name, colour) in enumerate(entries):
        names.setdefault(_voc_colour(index) if colour is None else colour, name)
    return {value: name for value, name in names.items() if value and name and name.lower() not in NO_CATEGORY}


def _colour(text: str) -> int | None:
    match = re.fullmatch(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*", text)
    return colour_value(*map(int, match.groups())) if match else None


def _voc_colour(index: int) -> int:
    """Return the colour of an index in VOC's palette: its bits, lowest first, become the highest of each channel."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> 3 * bit + channel & 1) << 7 - bit
    return colour_value(*channels)
