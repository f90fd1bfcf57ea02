"""Values of parsed json whose types a tool promises and nobody checks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.masks import MAX_COORDINATE_PX
from instseg.core.types import Box, ImageSize


def as_object(value: object) -> Mapping[str, object]:
    """Return a json object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a json list as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float:
    """Return a number of a plausible size, also one written as text.

    Raises:
        InstsegError: it is none.
    """
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= MAX_COORDINATE_PX:
        raise InstsegError(f"expected a number, found {str(value)[:40]!r}")
    return number


def box_of_xywh(x: object, y: object, width: object, height: object) -> Box:
    """Return a box as xyxy (4,) in px.

    Args:
        x: of its left side.
        y: of its upper side.
        width: px.
        height: px.

    Raises:
        InstsegError: one of them is no number.
    """
    left, top = as_number(x), as_number(y)
    return np.array([left, top, left + as_number(width), top + as_number(height)], dtype=np.float64)


def size_of(height: object, width: object) -> ImageSize | None:
    """Return the size that labels declare; None where they declare none.

    Args:
        height: px.
        width: px.
    """
    try:
        size = int(as_number(height)), int(as_number(width))
    except InstsegError:
        return None
    return size if min(size) > 0 else None
