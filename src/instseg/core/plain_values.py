"""A part of Hydra's grammar of values: numbers, texts, lists and mappings, and the values that a sweep tries.

Written as a list of what is allowed, for values that stand in a file: whatever is not on it is refused.
Grammar: https://hydra.cc/docs/1.3/advanced/override_grammar/basic
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_DEPTH = 20  # of lists and mappings within each other

QUOTED = re.compile(r""" *(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
WORDS = re.compile(r" *(?:[\w/.+%*@?|:-]|\\(?=[\w.-]))(?:[\w/.+%*@?|: -]|\\(?=[\w.-]))*", re.ASCII)
MAPPING_KEY = re.compile(r" *[\w.-][\w/.+%*@?| -]*:", re.ASCII)
UNDERSCORE_FIRST = re.compile(r"(?:\A|\W)_", re.ASCII)
FUNCTION = re.compile(r" *(?:choice|range|interval|tag) *\(")
ARGUMENT_NAME = re.compile(r" *[a-z]+ *=")
COMMA = re.compile(r" *, *")
BRACKET, BRACE = re.compile(r" *\["), re.compile(r" *\{")


class NotPlainError(Exception):
    """The reason for which a value is not a plain one."""


def check_plain_value(text: str, is_sweep: bool) -> None:
    """Check that a value is a number, a text, a list or a mapping, in which no key starts with an underscore.

    Args:
        text: the value as it stands behind ``key=``.
        is_sweep: whether several values, separated by commas, and the functions ``choice``, ``range``, ``interval`` and
            ``tag`` are plain as well.

    Raises:
        NotPlainError: the value is none of these.
    """
    cursor = _Cursor(text, is_sweep)
    if not text.strip(" "):
        return
    cursor.element(0)
    while is_sweep and cursor.takes(COMMA):
        cursor.element(0)
    if cursor.at < len(text):  # nor would Hydra read a blank behind a list
        raise NotPlainError("expected a number, a text, a list or a mapping")


class _Cursor:
    """A place in a value; each method moves it past what it is named after, or raises ``NotPlainError``."""

    def __init__(self, text: str, is_sweep: bool) -> None:
        self.text, self.at, self.is_sweep = text, 0, is_sweep

    def takes(self, pattern: re.Pattern[str]) -> str:
        """Return what the pattern matches here; an empty text, and no move, where it does not."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def element(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotPlainError(f"more than {MAX_DEPTH} lists and mappings within each other")
        if self.takes(BRACKET):
            self.items("]", depth, self.element)
        elif self.takes(BRACE):
            self.items("}", depth, self.pair)
        elif self.is_sweep and self.takes(FUNCTION):
            self.items(")", depth, self.argument)
        elif not self.takes(QUOTED) and not self.takes(WORDS):
            raise NotPlainError("expected a number, a text, a list or a mapping")

    def items(self, closing: str, depth: int, item: Callable[[int], None]) -> None:
        end = re.compile(rf" *{re.escape(closing)}")
        if self.takes(end):
            return
        item(depth + 1)
        while self.takes(COMMA):
            item(depth + 1)
        if not self.takes(end):
            raise NotPlainError(f"expected a comma or {closing!r} after character {self.at} of the value")

    def pair(self, depth: int) -> None:
        key = self.takes(MAPPING_KEY).rstrip(":")
        if not key or UNDERSCORE_FIRST.search(key):
            raise NotPlainError("a mapping with a key that is not plain")
        self.element(depth)

    def argument(self, depth: int) -> None:
        self.takes(ARGUMENT_NAME)
        self.element(depth)
