"""The command line of this process, read here and written to nowhere."""

from __future__ import annotations

import sys


def program() -> str:
    """Return the program's name as it was typed, such as ``train.py``."""
    return sys.argv[0]


def typed_arguments() -> list[str]:
    """Return the arguments as they were typed, before anything is inherited."""
    return sys.argv[1:]
