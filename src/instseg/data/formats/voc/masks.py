"""SegmentationObject masks of VOC: matching values to objects by box and number, or by SegmentationClass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from instseg.core.boxes import box_ious
from instseg.core.masks import rle_to_box
from instseg.core.types import Box, ImageSize, Rle
from instseg.data.formats.mask_files import VOID, Mask, read_mask, read_mask_as
from instseg.data.formats.mask_values import COLOUR, PixelValues, rles_of_values

VOIDS = (VOID, COLOUR + 0xE0E0C0)  # as an index, and as the colour in VOC's palette
MIN_OVERLAP = 0.1
"""Minimum IoU of a mask's box with that of its object, which includes the void border."""
ORDER_BONUS = 0.25
"""Bonus in IoU for value k and the k-th object of the xml: VOC numbers them so, other tools may not."""


def read_instances(path: Path, image_size: ImageSize | None) -> tuple[Mask, dict[int, Rle]]:
    """Read a mask and the RLE of every value but the void border.

    Args:
        path: the mask.
        image_size: (height, width) to scale it to; None: keep its own.

    Raises:
        InstsegError: the mask cannot be read, or has another aspect ratio than the image.
    """
    mask = read_mask(path) if image_size is None else read_mask_as(path, [image_size])
    return mask, {value: rle for value, rle in rles_of_values(mask.values).items() if value not in VOIDS}


def match_masks(rles: Mapping[int, Rle], boxes: Sequence[Box | None]) -> dict[int, int]:
    """Match mask values to objects by the IoU of their boxes, greedily, each at most once.

    Args:
        rles: value -> RLE.
        boxes: of the objects, (4,) xyxy in px; None: no usable box.

    Returns:
        Value -> index of its object, for the values that match one.
    """
    if not rles or not boxes:
        return {}
    values, nowhere = np.array(list(rles)), np.zeros(4)
    overlaps = box_ious(
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


def read_instances_by_class(
    path: Path, class_path: Path, names: Mapping[int, str]
) -> tuple[ImageSize, list[tuple[int, Rle, str | None]]]:
    """Read instances whose category is the class of most of their pixels.

    Args:
        path: the SegmentationObject mask.
        class_path: the SegmentationClass mask.
        names: class value -> category.

    Returns:
        The size of the mask, and value, RLE and category of each instance; None if its class has no name.

    Raises:
        InstsegError: as for ``read_instances``.
    """
    mask, rles = read_instances(path, None)
    majority = _majority_classes(mask.values, read_mask_as(class_path, [mask.size]).values)
    return mask.size, [(value, rle, names.get(majority[value])) for value, rle in rles.items()]


def _majority_classes(instances: PixelValues, classes: PixelValues) -> dict[int, int]:
    """Return the class of most pixels of each instance; background and void only if it has no other."""
    pairs = (instances.astype(np.int64).reshape(-1) << 32) + classes.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(pairs[1:] != pairs[:-1]) + 1])
    distinct, run_of = np.unique(pairs[starts], return_inverse=True)
    counts = np.bincount(run_of, weights=np.diff(starts, append=pairs.size))
    best: dict[int, tuple[bool, float, int]] = {}
    for pair, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        value, category = pair >> 32, pair & 0xFFFFFFFF
        best[value] = max(best.get(value, (False, 0.0, 0)), (category not in (0, *VOIDS), count, category))
    return {value: category for value, (_, _, category) in best.items()}
