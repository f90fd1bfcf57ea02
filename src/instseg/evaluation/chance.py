"""One rule for what may be chance: when a difference is more, and in which words it is said.

A difference is beyond chance where its interval of LEVEL leaves out 0. Over the test images of two trainings, the
interval covers the choice of these images, and not what another training would give; over repeated trainings it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from instseg.core.text import plural

LEVEL = 0.95
MIN_IMAGES = 3
"""Fewer make no interval."""
REPEAT = "Add seed=0,1,2 dataset.seed=0 to repeat everything and take the mean."
MAY_BE_CHANCE = "The interval holds 0: this may be chance."
NOT_KNOWN = "Without an interval: this may be chance."
ON_THESE_IMAGES = "Beyond chance on these test images; another training of each may differ."
BEYOND_CHANCE = "Beyond chance."


def bonferroni(comparisons: int) -> float:
    """Return the level of each of several intervals with which all of them hold together in LEVEL of cases."""
    return 1 - (1 - LEVEL) / comparisons


def is_beyond_chance(low: float, high: float) -> bool:
    """Tell whether an interval leaves out 0; one that is not known, NaN, does not.

    Args:
        low: its lower end.
        high: its upper end.
    """
    return low > 0 or high < 0


def verdict(low: float, high: float, num_trainings: int = 1) -> str:
    """Return the sentence that says whether a difference is beyond chance.

    Args:
        low: lower end of its interval; NaN where there is none.
        high: upper end.
        num_trainings: pairs of trainings that were compared; of one, the interval is over test images.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_KNOWN
    if not is_beyond_chance(low, high):
        return MAY_BE_CHANCE
    return BEYOND_CHANCE if num_trainings > 1 else ON_THESE_IMAGES


def verdict_of_several(clear: Sequence[str], is_repeated: bool) -> str:
    """Return the sentence on several differences whose intervals hold together.

    Args:
        clear: names of those that are beyond chance.
        is_repeated: each of these was trained more than once.
    """
    if not clear:
        return f"None of these is beyond chance. {REPEAT}"
    if is_repeated:
        return f"Beyond chance: {', '.join(clear)}."
    return f"Beyond chance on these test images, where another training may differ: {', '.join(clear)}. {REPEAT}"


def how_uncertain(num_images: int) -> str:
    """Return the sentences on a metric that is measured on so many images."""
    if num_images < MIN_IMAGES:
        return f"AP on {plural(num_images, 'image')} is mostly chance, and {MIN_IMAGES} are needed for an interval."
    return (
        f"AP on {plural(num_images, 'image')} may be off by up to {widest_error(num_images):.2f} (95 %); each run "
        "prints its own interval. Two runs on the same images differ less by chance: instseg compare says whether the "
        "interval of their difference leaves out 0."
    )


def widest_error(num_images: int) -> float:
    """Return by how much a metric may be off on so many images at worst, as half of an interval of 95 %.

    Of a fraction of 0.5 on independent images (binomial), 0.5 at most. Objects of one image are not independent of each
    other, so images count, not objects.
    """
    return min(0.5, 1.96 * math.sqrt(0.25 / max(1, num_images)))
