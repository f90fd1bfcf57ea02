"""Parts of a training, one of which works, and the others end a program in every way that a part can."""

from __future__ import annotations

import sys

from instseg.core.errors import InstsegError


def works() -> None:
    """Be built."""


def refused() -> None:
    raise InstsegError("mine: expected another value")


def raises() -> None:
    raise ValueError("nobody thought of this")


def circular() -> None:
    """Each of two errors is the cause of the other."""
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def leaves() -> None:
    sys.exit(1)
