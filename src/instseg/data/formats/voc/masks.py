"""SegmentationObject masks of VOC: which object each value is, by its place and number or by SegmentationClass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.files import read_lines
from instseg.core.masks import rle_to_box
from instseg.core.types import Box, ImageSize, Rle
from instseg.data.formats.mask_files import VOID, Mask, read_mask, read_mask_as
from instseg.data.formats.mask_values import COLOUR, colour_value, rles_of_values

VOC_CATEGORIES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOIDS = (VOID, COLOUR + 0xE0E0C0)  # as a number and in the colour of VOC's palette
NO_CATEGORY = ("background", "_background_", "__ignore__", "void", "ignored")
MIN_OVERLAP = 0.1
"""IoU of a mask's box with an object's, void border and all: less is another object."""
ORDER_BONUS = 0.25
"""Of IoU, for value k and the k-th object of the xml: VOC numbers them so, other tools may not."""


def read_instances(path: Path, image_size: ImageSize | None) -> tuple[Mask, dict[int, Rle]]:
    """The mask, scaled to ``image_size`` if it is given, and every value in it but those of the void border.

    InstsegError for a mask that cannot be read or has another shape than the image.
    """
    mask = read_mask(path) if image_size is None else read_mask_as(path, [image_size])
    return mask, {value: rle for value, rle in rles_of_values(mask.values).items() if value not in VOIDS}


def match_masks(rles: Mapping[int, Rle], boxes: Sequence[Box | None]) -> dict[int, int]:
    """Value -> index of the object whose box fits best, each used once; values that fit none are left out."""
    if not rles or not boxes:
        return {}
    values, nowhere = np.array(list(rles)), np.full(4, np.nan)
    overlaps = _ious(
        np.array([rle_to_box(rle) for rle in rles.values()]),
        np.array([nowhere if box is None else box for box in boxes]),
    )
    fits = overlaps + ORDER_BONUS * (values[:, None] == np.arange(1, len(boxes) + 1))
    matched: dict[int, int] = {}
    for position in np.argsort(-fits, axis=None, kind="stable"):
        row, index = divmod(int(position), len(boxes))
        value = int(values[row])
        if overlaps[row, index] >= MIN_OVERLAP and value not in matched and index not in matched.values():
            matched[value] = index
    return matched


def _ious(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 4) and (N, 4) boxes xyxy -> (K, N); 0 for a box that is nan."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    overlap = np.nan_to_num(sides).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    ious: NDArray[np.float64] = np.nan_to_num(overlap / np.maximum(areas[0][:, None] + areas[1] - overlap, 1e-9))
    return ious


def read_instances_by_class(
    path: Path, class_path: Path, names: Mapping[int, str]
) -> tuple[ImageSize, list[tuple[int, Rle, str | None]]]:
    """Size, and value, mask and category of every instance: the name of the class that most of its pixels have.

    None where that class has no name. InstsegError as for ``read_instances``.
    """
    mask, rles = read_instances(path, None)
    commonest = _commonest(mask.values, read_mask_as(class_path, [mask.size]).values)
    return mask.size, [(value, rle, names.get(commonest[value])) for value, rle in rles.items()]


def _commonest(instances: NDArray[Any], classes: NDArray[Any]) -> dict[int, int]:
    """Instance value -> the class value that most of its pixels have, background and void only if it has no other."""
    pairs = (instances.astype(np.int64).reshape(-1) << 32) + classes.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(pairs[1:] != pairs[:-1]) + 1])
    distinct, run_of = np.unique(pairs[starts], return_inverse=True)
    counts = np.bincount(run_of, weights=np.diff(starts, append=pairs.size))
    best: dict[int, tuple[bool, float, int]] = {}
    for pair, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        value, category = pair >> 32, pair & 0xFFFFFFFF
        best[value] = max(best.get(value, (False, 0.0, 0)), (category not in (0, *VOIDS), count, category))
    return {value: category for value, (_, _, category) in best.items()}


def class_names(base: Path) -> dict[int, str]:
    """Value in SegmentationClass masks -> category, for those that are numbers and those that are colours.

    From ``labelmap.txt`` (CVAT: ``name:r,g,b:parts:actions``), else ``class_names.txt`` (LabelMe's converter: one a
    line, background first), else VOC's own. Colours that are not given are VOC's.
    """
    if (labelmap := base / "labelmap.txt").is_file():
        rows = [line.split(":") for line in read_lines(labelmap) if not line.startswith("#")]
        entries = [(row[0].strip(), _colour(row[1]) if len(row) > 1 else None) for row in rows]
        if entries and entries[0][0].lower() not in NO_CATEGORY:
            entries.insert(0, (NO_CATEGORY[0], None))
    elif (listed := base / "class_names.txt").is_file():
        entries = [(line, None) for line in read_lines(listed) if line != "__ignore__"]
    else:
        entries = [(name, None) for name in (NO_CATEGORY[0], *VOC_CATEGORIES)]
    names = {index: name for index, (name, _) in enumerate(entries)}
    for index, (name, colour) in enumerate(entries):
        names.setdefault(_voc_colour(index) if colour is None else colour, name)
    return {value: name for value, name in names.items() if value and name.lower() not in NO_CATEGORY}


def _colour(text: str) -> int | None:
    match = re.fullmatch(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*", text)
    return colour_value(*map(int, match.groups())) if match else None


def _voc_colour(index: int) -> int:
    """The colour that VOC's palette gives a number: its bits, the lowest first, become the highest of each channel."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> 3 * bit + channel & 1) << 7 - bit
    return colour_value(*channels)
