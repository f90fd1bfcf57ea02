"""The aim of the score thresholds. Imports neither torch nor numpy: it is checked before they are loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from instseg.core.errors import InstsegError

F1, PRECISION, RECALL = "f1", "precision", "recall"
EXPECTED = "f1, precision:0.9 or recall:0.95, or another fraction"


@dataclass(frozen=True, slots=True)
class Goal:
    """The aim of a threshold: the best F1, or a wanted precision or recall."""

    measure: str = F1
    wanted: float = math.nan  # not of F1

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Read ``f1``, ``precision:0.9`` or ``recall:0.95``.

        Raises:
            InstsegError: it is none of these, or the number is not above 0 and up to 1.
        """
        measure, _, number = text.partition(":")
        try:
            goal = cls(measure, float(number or "nan"))
        except ValueError:
            goal = cls("", math.nan)
        if (goal.measure in (PRECISION, RECALL) and 0 < goal.wanted <= 1) or text == F1:
            return goal
        raise InstsegError(f"operating_point={text}: expected {EXPECTED}")

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        return F1 if self.measure == F1 else f"{self.measure}:{self.wanted:g}"
