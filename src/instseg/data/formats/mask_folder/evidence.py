"""The meaning of pixel values, as far as a sample of the masks shows: objects, classes, encodings, a background."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.data.formats.mask_files import VOID, Mask, read_mask
from instseg.data.formats.mask_folder.encodings import divisor_of, encoded_by
from instseg.data.formats.mask_folder.recurring import do_recur
from instseg.data.formats.mask_values import PixelValues, shown_value

NUM_PROBED = 32
MAX_CLASSES, MAX_VALUES_LOOKED_AT = 50, 20
PARTED_FRACTION = 0.3
"""Of the values in masks, in several regions each; of objects only those are that something occludes."""
MIN_REGION_FRACTION, MIN_REGION_PX = 0.1, 9
"""Smaller regions, of the largest of their value, are specks."""
MIN_MASKS, BACKGROUND_FRACTION = (
    2,
    0.8,
)  # of the masks, in which one value has all corners and more than half of the pixels


@dataclass(frozen=True, slots=True)
class MaskEvidence:
    """The evidence of a sample of masks.

    Attributes:
        one_value: at most one value occurs besides 0, which therefore does not number instances.
        findings: kind and detail of what is probably not meant.
    """

    one_value: bool
    findings: list[tuple[str, str]]


def evidence_of(masks: Sequence[Path], background: int = 0) -> MaskEvidence:
    """Look at a sample of masks.

    Args:
        masks: their files.
        background: the value that the user says is the background.
    """
    sample = list(_sample(masks))
    values = {value for mask in sample for value in np.unique(mask.values).tolist() if value}
    found = _background(sample) if background == 0 else []
    if not found and len(values) > 1:
        found = _encoding(sample) or _classes(sample, values) or _recurring(sample)
    return MaskEvidence(len(values) <= 1, found)


def _sample(masks: Sequence[Path]) -> list[Mask]:
    read = []
    for path in masks[:: max(1, len(masks) // NUM_PROBED)][:NUM_PROBED]:
        try:
            read.append(read_mask(path))
        except InstsegError:
            continue  # reported when the mask is read for its image
    return read


def _background(sample: Sequence[Mask]) -> list[tuple[str, str]]:
    around = Counter(value for mask in sample if (value := _surrounding(mask.values)))
    value, count = around.most_common(1)[0] if around else (0, 0)
    if count < max(MIN_MASKS, BACKGROUND_FRACTION * len(sample)):
        return []
    shown = shown_value(value)
    option = f"'dataset.background=\"{shown}\"'" if shown.startswith("#") else f"dataset.background={shown}"
    return [("mask_background", f"value {shown}; dataset=mask_folder {option} takes it out and reads 0 as objects")]


def _surrounding(values: PixelValues) -> int:
    """Return the value of all four corners and of more than half of the pixels; 0 where there is none."""
    corners = {int(values[row, column]) for row in (0, -1) for column in (0, -1)}
    value = corners.pop()
    return value if not corners and (values == value).mean() > 0.5 else 0


def _encoding(sample: Sequence[Mask]) -> list[tuple[str, str]]:
    divisor = divisor_of([_values_of(mask) for mask in sample])
    if divisor is None:
        return []
    encoded = sorted({value for mask in sample for value in encoded_by(divisor, _values_of(mask))})
    names = ", ".join(f"{number}: name" for number in sorted({value // divisor for value in encoded})[:3])
    read = f"dataset=mask_folder dataset.divisor={divisor} 'dataset.names={{{names}}}'"
    return [("mask_values_encoded", f"values {list_names(encoded, 4)}; {read} reads them so")]


def _classes(sample: Sequence[Mask], values: set[int]) -> list[tuple[str, str]]:
    if len(values) > MAX_CLASSES:
        return []
    parted = [is_parted for mask in sample for is_parted in _are_parted(mask)]
    if not parted or sum(parted) < PARTED_FRACTION * len(parted):
        return []
    share = f"{sum(parted)} of {len(parted)} values looked at are in several regions"
    return [("mask_of_classes", f"{share}; {_read_as_categories(values - {VOID})}")]


def _recurring(sample: Sequence[Mask]) -> list[tuple[str, str]]:
    values = [_values_of(mask) for mask in sample]
    if not do_recur(values):
        return []
    every = set().union(*values)
    shown = list_names(map(shown_value, sorted(every)), 6)
    return [("mask_values_recur", f"values {shown} in {len(sample)} masks looked at; {_read_as_categories(every)}")]


def _read_as_categories(values: Iterable[int]) -> str:
    names = ", ".join(f"{shown_value(value)}: name" for value in sorted(values)[:4])
    return f"dataset=mask_folder 'dataset.names={{{names}}}' reads them as categories"


def _values_of(mask: Mask) -> list[int]:
    return [value for value in np.unique(mask.values).tolist() if value and value != VOID]


def _are_parted(mask: Mask) -> list[bool]:
    """Tell of each value whether it is in several regions that are no specks."""
    return [_num_regions(mask.values == value) > 1 for value in _values_of(mask)[:MAX_VALUES_LOOKED_AT]]


def _num_regions(inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside.view(np.uint8), connectivity=8)
    areas = np.asarray(stats)[1:, cv2.CC_STAT_AREA]
    return int((areas >= max(MIN_REGION_PX, MIN_REGION_FRACTION * areas.max(initial=0))).sum())
