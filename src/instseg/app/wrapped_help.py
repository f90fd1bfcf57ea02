"""The help of Hydra, whose lists of options are one line each however many there are, in lines that can be read."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

WIDTH = 100
"""Characters of a line."""
OPTIONS = re.compile(r"[\w/]+: [\w, -]+")
"""A group and its options, ``model: r50fpn, small``."""


@contextmanager
def wrapped_help() -> Iterator[None]:
    """Print what is printed within, lists of options in lines of at most ``WIDTH`` characters."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        print("\n".join(map(_wrapped, printed.getvalue().splitlines())))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent="  ") if OPTIONS.fullmatch(line) else line
