"""Mask values that hold two numbers: category * divisor + number of the object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from instseg.data.formats.mask_values import COLOUR

DIVISORS = (1000, 256, 100)
"""Cityscapes, KITTI and MOTS take 1000, Mapillary 256, others 100."""
MAX_CLASSES = 50
COUNTED_FRACTION = 0.9
"""Of the categories in masks, whose objects are numbered from 0 or 1 on without a gap: the rest were too small."""


def divisor_of(masks: Sequence[Sequence[int]]) -> int | None:
    """Return the divisor that the values of masks are probably made with; None where they are plain numbers.

    Args:
        masks: the values of each, ascending, without the background.
    """
    counted = next((divisor for divisor in DIVISORS if _do_count(masks, divisor)), None)
    return DIVISORS[0] if counted is None and _are_far_apart(masks, DIVISORS[0]) else counted


def encoded_by(divisor: int, values: Sequence[int]) -> list[int]:
    """Return the values that hold a category.

    Args:
        divisor: of all values.
        values: of a mask; smaller ones hold no category, and colours are none.
    """
    return [value for value in values if divisor <= value < COLOUR]


def _do_count(masks: Sequence[Sequence[int]], divisor: int) -> bool:
    """Tell whether the objects of each category are counted anew in each mask, far from the next category's."""
    groups: list[list[int]] = []
    for values in masks:
        by_class: defaultdict[int, list[int]] = defaultdict(list)
        for value in encoded_by(divisor, values):
            by_class[value // divisor].append(value % divisor)
        groups += by_class.values()
    numbers = {number for group in groups for number in group}
    if len(numbers) < 2 or max(numbers) >= divisor // 2 or not _are_far_apart(masks, divisor):
        return False
    return sum(map(_is_counted, groups)) >= COUNTED_FRACTION * len(groups)


def _is_counted(numbers: Sequence[int]) -> bool:
    return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1


def _are_far_apart(masks: Sequence[Sequence[int]], divisor: int) -> bool:
    """Tell whether few values reach far, which plain numbers of many objects do not."""
    encoded = {value for values in masks for value in encoded_by(divisor, values)}
    most = max(map(len, masks), default=0)
    return 0 < len({value // divisor for value in encoded}) <= MAX_CLASSES and most * 10 <= max(encoded)
