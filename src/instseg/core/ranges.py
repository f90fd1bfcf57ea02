"""The values that an option may have, with the text that a message needs of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from instseg.core.text import cut

LARGEST = sys.float_info.max
MAX_LETTERS = 200
"""Of a value in a message."""


class Values(Protocol):
    """Values that a key may have; the text of them follows the word "expected"."""

    def __contains__(self, value: object) -> bool: ...


def as_written(value: object) -> str:
    """Return a value of a config as one writes it in an override, such as ``null`` or ``[a,1e-3]``; a long one cut.

    Args:
        value: a number, text, ``bool`` or ``None``, or a list or mapping of these.
    """
    return cut(_written(value), MAX_LETTERS)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers between two limits.

    Args:
        low: smallest number.
        high: largest number.
        is_whole: only whole numbers.
        is_above: ``low`` itself is too small.
        besides: other values that have a meaning of their own, ``None`` being written null.
    """

    low: float
    high: float = math.inf
    is_whole: bool = False
    is_above: bool = False
    besides: tuple[object, ...] = ()

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return value in self.besides
        is_within = self.low < value <= self.high if self.is_above else self.low <= value <= self.high
        return (is_within and value <= LARGEST) or value in self.besides

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        start = f"{kind} {'above' if self.is_above else 'from'} {self.low:.10g}"
        end = "" if self.is_above else " upwards"
        if math.isfinite(self.high):
            end = f"{' and up' if self.is_above else ''} to {self.high:.10g}"
        return start + end + "".join(f", or {as_written(other)}" for other in self.besides)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values.

    Args:
        each: the values that its entries may have.
        length: how many there are; None: any number.
    """

    each: Values
    length: int | None = None

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        if not isinstance(value, list | tuple) or self.length not in (None, len(value)):
            return False
        return all(entry in self.each for entry in value)

    def __str__(self) -> str:
        return f"a list{'' if self.length is None else f' of {self.length}'}, each {self.each}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Values of several kinds.

    Args:
        kinds: the value is one of any of them.
    """

    kinds: tuple[Values, ...]

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        return any(value in kind for kind in self.kinds)

    def __str__(self) -> str:
        return ", or ".join(map(str, self.kinds))


@dataclass(frozen=True, slots=True)
class OneOf:
    """A choice of texts, or of what is written like them."""

    names: tuple[str, ...]
    besides: tuple[bool | None, ...] = ()

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        return any(value is other for other in self.besides) or (
            not isinstance(value, bool) and str(value) in self.names
        )

    def __str__(self) -> str:
        others = "".join(f"{as_written(other)} or " for other in self.besides)
        names = ", ".join(self.names)
        return f"{others}{'one of ' if len(self.names) > 1 else ''}{names}"


@dataclass(frozen=True, slots=True)
class SomeOf:
    """One or several of a few texts, or null for none."""

    names: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of them, or a list of these."""
        several = value if isinstance(value, list) else [value]
        return value is None or all(one in self.names for one in several)

    def __str__(self) -> str:
        return f"null, or one or more of {', '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class ByCategory:
    """A value for all categories, or numbers by category.

    Args:
        of_all: values for all categories.
        of_each: numbers of a category.
        example: of numbers by category, for the message.
    """

    of_all: Values
    of_each: Values
    example: str

    def __contains__(self, value: object) -> bool:
        """Tell whether the value is one of these."""
        if isinstance(value, Mapping):
            return all(one in self.of_each for one in value.values())
        return value in self.of_all

    def __str__(self) -> str:
        return f"{self.of_all}, or numbers by category such as {self.example}"


NOT_NEGATIVE = Numbers(0)
FRACTION = Numbers(0, 1)
COUNT = Numbers(1, is_whole=True)
COUNT_OR_NULL = Numbers(1, is_whole=True, besides=(None,))
SCORE_THRESHOLD = ByCategory(Numbers(0, 1, besides=("auto",)), FRACTION, "{car: 0.3, dog: 0.6}")
