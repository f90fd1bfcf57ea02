"""The one rule for which validation is the best."""

from __future__ import annotations

import math


def is_best(value: float, best: float, mode: str) -> bool:
    """Tell whether a validation takes the place of the best one so far: of equal ones the newer does.

    An undefined value, as the AP of a category without an instance, is the best only where none before was defined.

    Args:
        value: of the monitored metric now.
        best: of the best validation so far; NaN or infinite where there is none or it is undefined.
        mode: min or max, which of its values is better.
    """
    if not math.isfinite(best):
        return True
    if not math.isfinite(value):
        return False
    return value <= best if mode == "min" else value >= best
