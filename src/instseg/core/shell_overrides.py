"""Overrides for the command line of train.py, written so that they can be pasted into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OTHER_TYPES = re.compile(r"true|false|null|[+-]?(nan|inf|[\d._]+(e[+-]?[\d_]+)?)", re.IGNORECASE)
"""Unquoted text that Hydra reads as another type."""
KEY_CHARACTERS = re.compile(r"[A-Za-z0-9_/\-+.$%*@?| \\()\[\]{}:=,]+")
"""Characters of a mapping's key: keys cannot be quoted, but these can be escaped."""


def override(key: str, value: object) -> str:
    """Write ``key=value``, quoted for the shell.

    Args:
        key: dotted key of the configuration.
        value: number, text, sequence or mapping; keys of a mapping must be ``sayable``.
    """
    return shlex.quote(f"{key}={_text(value)}")


def sayable(name: str) -> bool:
    """Tell whether a name can be a key of a mapping on the command line."""
    return KEY_CHARACTERS.fullmatch(name) is not None and (name.isdigit() or not OTHER_TYPES.fullmatch(name))


def is_plain(text: str) -> bool:
    """Tell whether Hydra reads a text as it is, without quotes, as a key too."""
    return PLAIN.fullmatch(text) is not None and not OTHER_TYPES.fullmatch(text)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_key(str(k))}:{_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_text, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else _quoted(value) if isinstance(value, str) else str(value)


def _key(name: str) -> str:
    return re.sub(r"[\\()\[\]{}:=, ]", r"\\\g<0>", name)


def _quoted(text: str) -> str:
    if is_plain(text):
        return text
    # Backslashes are taken as they are, except before a quote, where they escape and must be escaped.
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], text)
    return f'"{escaped}"'
