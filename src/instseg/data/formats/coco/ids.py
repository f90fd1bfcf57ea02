"""Ids as tools write them: whole numbers, the same as text, or any text; in an index they are whole numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_ID = 2**63 - 1


def whole_number(value: object) -> int | None:
    """Return a number that is whole and fits an index, also where it is written as text or float; None otherwise."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}(\.0+)?\s*", value):
        return int(float(value)) if "." in value else int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and abs(value) <= MAX_ID else None


class Ids:
    """Ids of one section, each with a whole number of its own; numbers stay as they are."""

    def __init__(self, written: Iterable[object]) -> None:
        """List the ids.

        Args:
            written: as the file has them.
        """
        keys = [_key(value) for value in written]
        numbers = [key for key in keys if isinstance(key, int)]
        free = max(numbers, default=0)
        self._numbers: dict[int | str, int] = {number: number for number in numbers}
        for key in keys:
            if isinstance(key, str) and key not in self._numbers:
                free += 1
                self._numbers[key] = free
        self._known = set(self._numbers.values())

    def number(self, written: object) -> int | None:
        """Return the number of an id as it is written; None where there is none of this name."""
        return None if (key := _key(written)) is None else self._numbers.get(key)

    def number_or_text(self, written: object) -> int | str:
        """Return the number of an id, or the id as a short text: that of an entry that the file does not list."""
        number = written if type(written) is int else self.number(written)
        return number if number is not None and number in self._known else str(written)[:40]

    def forget(self, number: int) -> None:
        """Remove a number: annotations that refer to it belong to nothing."""
        self._known.discard(number)

    def knows(self, number: int) -> bool:
        """Tell whether the number belongs to an id of the section."""
        return number in self._known


def _key(value: object) -> int | str | None:
    number = whole_number(value)
    if number is not None:
        return number
    return value.strip() or None if isinstance(value, str) else str(value) if isinstance(value, int) else None
