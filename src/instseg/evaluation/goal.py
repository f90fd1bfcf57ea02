"""The aim of the score thresholds. Imports neither torch nor numpy: it is checked before they are loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from instseg.core.errors import InstsegError

F1, PRECISION, RECALL = "f1", "precision", "recall"


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
        if text not in GOALS:
            raise InstsegError(f"operating_point={text}: expected {GOALS}")
        return cls(measure, float(number or "nan"))

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        return F1 if self.measure == F1 else f"{self.measure}:{self.wanted:g}"


class Goals:
    """The texts that are goals."""

    def __contains__(self, text: object) -> bool:
        """Tell whether a value is one of these."""
        measure, _, number = str(text).partition(":")
        try:
            return text == F1 or (measure in (PRECISION, RECALL) and 0 < float(number) <= 1)
        except ValueError:
            return False

    def __str__(self) -> str:
        return "f1, precision:0.9 or recall:0.95, or another fraction above 0"


GOALS = Goals()
