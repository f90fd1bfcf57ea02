"""The forms in which tools write a COCO segmentation: polygons in lists of any depth, RLE in text or lists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.errors import InstsegError
from instseg.core.masks import MAX_COORDINATE_PX, bitmask_to_rle, rle_runs, segmentation_to_rle
from instseg.core.types import ImageSize, Polygon, Rle

BYTES_LITERAL = re.compile(r"b(['\"]).*\1", re.DOTALL)
"""Compressed counts as Python prints them."""
MAX_TEXT = 10_000_000


def parsed_text(segmentation: object) -> object:
    """Return a segmentation that is json in a text as the lists it spells; anything else as it is."""
    if isinstance(segmentation, str) and segmentation[:1] in ("[", "{") and len(segmentation) <= MAX_TEXT:
        with suppress(ValueError, RecursionError):
            return json.loads(segmentation)
    return segmentation


def polygon_parts(segmentation: list[object]) -> tuple[list[object], bool]:
    """Return the parts of an instance, and whether they were in another form than COCO's list of flat lists.

    One flat list is one part, and so is a list of points, which are pairs or have ``x`` and ``y``.
    """
    parts = [part for part in segmentation if part != []]
    if parts and all(map(_is_number, parts)):
        return [parts], True
    if len(parts) >= 3 and all(map(_is_point, parts)):
        return [[_point(part) for part in parts]], True
    if parts and all(isinstance(part, list) and part and all(isinstance(p, Mapping) for p in part) for part in parts):
        return [[_point(point) for point in part] for part in parts if isinstance(part, list)], True
    return parts, False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_point(value: object) -> bool:
    if isinstance(value, Mapping):
        return {"x", "y"} <= value.keys()
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _point(value: object) -> object:
    return [value.get("x"), value.get("y")] if isinstance(value, Mapping) else value


def read_polygon(part: object) -> Polygon:
    """Convert a list of coordinates to (P, 2).

    Raises:
        InstsegError: they are no pairs of plausible numbers.
    """
    try:
        flat = np.asarray(part, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise InstsegError(f"a polygon must be a flat list of numbers, found {str(part)[:60]}") from error
    if len(flat) % 2 or not (np.abs(flat) <= MAX_COORDINATE_PX).all():
        raise InstsegError(f"a polygon must be pairs of x, y below {MAX_COORDINATE_PX:.0e}; found {str(part)[:60]}")
    return flat.reshape(-1, 2)


Fits = Callable[[Rle], bool]
"""Tells whether a mask fits the bbox of its annotation."""


def read_rle(segmentation: object, image_size: ImageSize, order: str, fits: Fits | None) -> tuple[Rle, bool]:
    """Read an RLE of the image's size, or one that can only mean such a one.

    Args:
        segmentation: with ``size`` and ``counts``.
        image_size: (height, width) px.
        order: in which the pixels are counted: ``columns``, COCO's, or ``rows``.
        fits: decides between two readings of a size that is swapped; None where there is no bbox.

    Returns:
        The RLE, and whether its form was unusual.

    Raises:
        InstsegError: it is damaged, or of another size.
    """
    try:
        runs, is_unusual = _counts(segmentation)
        if not isinstance(segmentation, Mapping) or runs is None:
            return segmentation_to_rle(segmentation, image_size), False
        size = [int(side) for side in segmentation["size"]]
        if size == [*image_size[::-1]] and size != [*image_size]:
            return _of_swapped_size(runs, image_size, order, fits), True
        read = segmentation_to_rle({"size": size, "counts": runs}, image_size)
        return (by_rows(read) if order == "rows" else read), is_unusual
    except (TypeError, ValueError, OverflowError, SyntaxError, KeyError, AttributeError) as error:
        raise InstsegError(f"an RLE must have a size and counts of numbers, found {str(segmentation)[:60]}") from error


def _counts(segmentation: object) -> tuple[list[int] | bytes | None, bool]:
    """Return run lengths or compressed counts, and whether they were written as Python or as text."""
    if not isinstance(segmentation, Mapping) or "size" not in segmentation:
        return None, False
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        return _counts_of_text(counts)
    if isinstance(counts, list):
        numbers = [int(count) if isinstance(count, str) else count for count in counts]
        whole = [int(n) if isinstance(n, float) and n.is_integer() else n for n in numbers]
        return whole, any(isinstance(count, str | float) for count in counts)
    return (counts, False) if isinstance(counts, bytes) else (None, False)


def _counts_of_text(counts: str) -> tuple[list[int] | bytes, bool]:
    if BYTES_LITERAL.fullmatch(counts) and len(counts) <= MAX_TEXT:
        literal = ast.literal_eval(counts)
        if isinstance(literal, bytes):
            return literal, True
    if re.fullmatch(r"\[?\s*\d+(\s*[,\s]\s*\d+)+\s*\]?", counts):  # compressed counts have no comma and no blank
        return [int(number) for number in re.findall(r"\d+", counts)], True
    return counts.encode(), False


def _of_swapped_size(runs: list[int] | bytes, image_size: ImageSize, order: str, fits: Fits | None) -> Rle:
    """Read counts whose size is (width, height): only the size is swapped, or the counts go by rows; a bbox decides."""
    by_columns = segmentation_to_rle({"size": [*image_size], "counts": runs}, image_size)
    readings = {"rows": by_rows(by_columns)} | ({} if order == "rows" else {"columns": by_columns})
    fitting = [rle for rle in readings.values() if fits is not None and fits(rle)]
    if len(fitting) == 1:
        return fitting[0]
    if len(readings) == 1:
        return readings["rows"]
    raise InstsegError(
        f"its RLE is of size {[*image_size[::-1]]} in an image of size {[*image_size]}, and no bbox tells whether "
        "height and width are swapped or pixels are counted by rows (dataset.rle=rows)"
    )


def by_rows(rle: Rle) -> Rle:
    """Return the mask whose pixels the same runs count row by row."""
    height, width = rle["size"]
    runs = rle_runs(rle["counts"]).tolist()
    turned = coco_mask.decode(coco_mask.frPyObjects({"size": [width, height], "counts": runs}, width, height))
    return bitmask_to_rle(np.asarray(turned).T)


def numbers_of(values: object, count: int) -> NDArray[np.float64] | None:
    """Return a list of so many numbers as an array, also where they are texts; None for anything else.

    Args:
        values: of a label file.
        count: the length that is expected.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float | str) for value in values):
        return None
    try:
        numbers = np.array([float(value) for value in values], dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return numbers if (np.abs(numbers) <= MAX_COORDINATE_PX**2).all() else None
