"""Names of images that stand on standard input, for ``source=-``."""

from __future__ import annotations

import os
import sys
from functools import cache

from instseg.app.config import Names
from instseg.core.errors import InstsegError

STANDARD_INPUT = "-"


def with_standard_input(source: Names) -> Names:
    """Return a source with the names on standard input in the place of ``-``.

    Raises:
        InstsegError: there are none.
    """
    if STANDARD_INPUT not in source:
        return source
    return Names(name for entry in source for name in (_names() if entry == STANDARD_INPUT else [entry]))


@cache
def _names() -> tuple[str, ...]:
    """Read the names once: they are checked before the work begins, and used then."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InstsegError(
            "source=-: expected names of images on standard input, one a line, found a terminal; such as "
            "find images -name '*.jpg' | instseg predict source=- …"
        )
    names = tuple(os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line.strip())
    if not names:
        raise InstsegError("source=-: expected names of images on standard input, one a line, found none")
    return names
