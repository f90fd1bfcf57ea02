"""What was typed as ``key=value``, read and written as Hydra's grammar has it, without Hydra.

In that grammar a comma, a bracket, a space, a quote or an = means something: a folder's name with one of them is
written in quotes. Typed without them, as a shell completes a path, it is understood here all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def key_of(argument: str) -> str:
    """Without its ``+`` or ``~``."""
    return argument.partition("=")[0].lstrip("+~")


def typed_values(arguments: Iterable[str]) -> dict[str, str]:
    """Key, with its ``+`` or ``~``, -> value without the quotes around it."""
    pairs = (argument.partition("=") for argument in arguments if "=" in argument and not argument.startswith("-"))
    return {key: unquoted(value) for key, _, value in pairs}


def quoted(key: str, value: object) -> str:
    """``key="value"``, whatever the value's characters: backslashes count where a quote comes after them."""
    escaped = re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + (f"\\{found[2]}" if found[2] else ""), str(value))
    return f'{key}="{escaped}"'


def unquoted(text: str) -> str:
    """The value that Hydra reads where ``text`` is quoted, else ``text`` itself."""
    quote = text[:1]
    if len(text) < 2 or quote not in ("'", '"') or text[-1] != quote:
        return text
    return re.sub(rf"(\\+)({quote}|\Z)", lambda found: found[1][: len(found[1]) // 2] + found[2], text[1:-1])
