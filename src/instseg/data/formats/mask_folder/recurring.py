"""Values that recur from mask to mask, as those of categories do; objects are numbered 1 to N in each mask."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from instseg.data.formats.mask_values import COLOUR

MAX_CATEGORIES = 20
MIN_MASKS_EACH = 3
"""In which a value is on average; objects that are numbered at random have each value once."""
GAPPED_FRACTION = 0.3
"""Of the masks that lack smaller numbers; few do where an object was deleted now and then."""
MAX_FILLED = 0.67
"""Of the numbers up to the largest, on average of such masks; more where some of many objects were deleted."""


def do_recur(masks: Sequence[Collection[int]]) -> bool:
    """Tell whether the same few values are in many masks without counting the objects of each.

    Args:
        masks: the values of each, without the background.
    """
    counts = Counter(value for values in masks for value in values)
    if not 2 <= len(counts) <= MAX_CATEGORIES or counts.total() < MIN_MASKS_EACH * len(counts):
        return False
    used = [values for values in masks if values]
    filled = _filled(used, counts) if max(counts) < COLOUR else _filled_by_colours(used, counts)
    gapped = [fraction for fraction in filled if fraction < 1]
    return len(gapped) >= GAPPED_FRACTION * len(used) and 0 < sum(gapped) <= MAX_FILLED * len(gapped)


def _filled(masks: Sequence[Collection[int]], values: Collection[int]) -> list[float]:
    """Return which fraction of the numbers up to its largest each mask has.

    They count in steps, if the first number is the step, and from 1, or from the first number where lengths differ.
    """
    step = math.gcd(*values) if math.gcd(*values) == min(values) else 1
    first = min(values) // step if len({len(values) for values in masks}) > 1 else 1
    return [len(values) / (max(values) // step - first + 1) for values in masks]


def _filled_by_colours(masks: Sequence[Collection[int]], counts: Counter[int]) -> list[float]:
    """Return which fraction of the colours that are more frequent than its rarest each mask has, with that one."""
    rarest = [min(counts[value] for value in values) for values in masks]
    more = [sum(count > limit for count in counts.values()) for limit in rarest]
    return [len(values) / max(len(values), number + 1) for values, number in zip(masks, more, strict=True)]
