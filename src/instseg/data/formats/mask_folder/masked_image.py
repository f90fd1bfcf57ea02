"""Conversion of the masks of one image to instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Rle
from instseg.data.formats.image_labels import ImageLabels, taking_turns
from instseg.data.formats.mask_files import VOID, Mask, read_mask_as
from instseg.data.formats.mask_values import PixelValues, regions_of, rles_of_values, shown_value
from instseg.data.reading.images import ImageHeader, read_image_header


@dataclass(frozen=True, slots=True)
class MaskedImage:
    """An image and its masks."""

    name: str  # path from the image root
    split: str
    masks: list[tuple[Path, str | None]]  # with the category in its name, if any
    values: Mapping[int, str] | None = None  # category of each value, from masks.json


@dataclass(frozen=True, slots=True)
class MaskRules:
    """Rules that turn mask values into instances and categories."""

    category: str
    names: Mapping[int, str | None] | None
    components: bool
    one_per_file: bool
    """Each file with one value is an instance."""
    one_value: bool
    """All masks share one value, which therefore does not number instances."""
    background: int = 0
    """This value and 0 change places."""
    divisor: int | None = None
    """Values are category * divisor + number of the instance."""


def read_masked_image(image_root: Path, rules: MaskRules, image: MaskedImage) -> ImageLabels:
    """Read the instances of an image from its masks.

    A missing or damaged image comes without instances: that is found when the images are read.

    Args:
        image_root: the folder of the images.
        rules: the meaning of the values.
        image: with its masks.
    """
    labels = ImageLabels(image.name, image.split)
    try:
        header = read_image_header(image_root / image.name)
    except InstsegError:
        return labels
    for path, category in image.masks:
        try:
            with taking_turns(header.size):
                _add_mask(labels, path, category or rules.category, header, image.values, rules)
        except InstsegError as error:
            labels.leave_out("mask_invalid", str(error))
        if labels.is_left_out:
            break
    return labels


def _add_mask(
    labels: ImageLabels,
    path: Path,
    category: str,
    header: ImageHeader,
    listed: Mapping[int, str] | None,
    rules: MaskRules,
) -> None:
    sizes = (header.displayed_size, header.size) if labels.image_size is None else (labels.image_size,)
    mask = read_mask_as(path, sizes)
    labels.image_size = mask.size
    if mask.is_softened:
        labels.report("mask_softened", labels.file_name)
    values = _with_background(mask.values, rules.background)
    if listed is not None:
        _add_listed(labels, mask.values, listed, path.name)
    elif rules.divisor is not None:
        _add_divided(labels, values, rules.divisor, rules.names, path.name)
    elif rules.names is not None:
        _add_named(labels, values, rules.names, rules.components, path.name)
    else:
        for rle in _instances(labels, replace(mask, values=values), rules):
            labels.add(category, rle)


def _with_background(values: PixelValues, background: int) -> PixelValues:
    if background == 0:
        return values
    swapped = values.astype(np.int32)
    swapped[values == background], swapped[values == 0] = 0, background
    return swapped


def _add_divided(
    labels: ImageLabels, values: PixelValues, divisor: int, names: Mapping[int, str | None] | None, name: str
) -> None:
    """Add each value from the divisor on as an instance; smaller ones do not tell objects of a category apart."""
    for value, rle in rles_of_values(values).items():
        number = value // divisor
        category = f"class_{number}" if names is None else names.get(number)
        if number and category is not None:
            labels.add(category, rle)
        elif names is not None and number not in names:
            labels.report("mask_value_unknown", f"{name}: value {shown_value(value)}")


def _add_listed(labels: ImageLabels, values: PixelValues, listed: Mapping[int, str], name: str) -> None:
    rles = rles_of_values(values)
    for value, category in listed.items():
        if not category:
            labels.report("category_missing", f"{name}: value {value}")
        elif value not in rles:
            labels.report("shape_degenerate", f"{name}: value {value}")
        else:
            labels.add(category, rles[value])
    _report_unknown(labels, rles.keys() - listed.keys(), name)


def _add_named(
    labels: ImageLabels, values: PixelValues, names: Mapping[int, str | None], components: bool, name: str
) -> None:
    rles = rles_of_values(values)
    for value, rle in rles.items():
        category = names.get(value)
        if category is not None:
            for instance in _regions(labels, values == value) if components else [rle]:
                labels.add(category, instance)
    _report_unknown(labels, rles.keys() - names.keys(), name)


def _report_unknown(labels: ImageLabels, values: set[int], name: str) -> None:
    for value in sorted(values):
        labels.report("mask_value_unknown", f"{name}: value {shown_value(value)}")


def _instances(labels: ImageLabels, mask: Mask, rules: MaskRules) -> Iterator[Rle]:
    rles = rles_of_values(mask.values)
    if mask.is_indexed and len(rles) > 1 and VOID - 1 not in rles:
        rles.pop(VOID, None)
    counts_nothing = len(rles) == 1 and (mask.is_black_and_white or rules.one_value)
    if counts_nothing and rules.components and not rules.one_per_file:
        yield from _regions(labels, mask.values)
    else:
        yield from rles.values()


def _regions(labels: ImageLabels, inside: NDArray[np.generic]) -> list[Rle]:
    if ("regions_as_instances", labels.file_name) not in labels.problems:
        labels.report("regions_as_instances", labels.file_name)
    return regions_of(inside)
