"""Values of dataset options, as they come from a configuration or the command line: their types, and the paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from instseg.core.errors import InstsegError
from instseg.core.text import printable, usable_text

MAX_NUMBER, MAX_LETTERS = 1e9, 4000
MEANINGS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: f"a number up to {MAX_NUMBER:g}",
    Mapping: "{name: value, …}",
    tuple: "a list",
}


def typed(option: str, value: object, hint: object) -> object:
    """Return the value as a type hint has it: text, number, truth value, mapping, tuple, None, or a union of these.

    Where text is expected a number becomes text: names that are numbers arrive so.

    Args:
        option: its name, for the message.
        value: as the configuration has it.
        hint: the type; ``object`` takes any.

    Raises:
        InstsegError: the value is of another type, or too long a text.
    """
    if isinstance(value, str) and len(value) > MAX_LETTERS:
        raise InstsegError(
            f"dataset.{printable(option)}: expected at most {MAX_LETTERS:,} letters, found {printable(value)}"
        )
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if object in kinds or Any in kinds or (value is None and NoneType in kinds):
        return value
    for kind in kinds:
        origin, inner = get_origin(kind) or kind, get_args(kind)
        if origin is Mapping and isinstance(value, Mapping):
            return {typed(option, k, inner[0]): typed(f"{option}.{k}", v, inner[1]) for k, v in value.items()}
        if origin is tuple and isinstance(value, list | tuple):
            return tuple(typed(option, entry, inner[0]) for entry in value)
        if origin is str and _is_text(value):
            return str(value)
        if type(value) is origin and origin in (int, bool):
            return value
        if origin is float and isinstance(value, int | float) and type(value) is not bool and abs(value) <= MAX_NUMBER:
            return value  # not nan
    expected = " or ".join(MEANINGS[get_origin(kind) or kind] for kind in kinds if kind is not NoneType)
    raise InstsegError(f"dataset.{printable(option)}: expected {expected}, found {printable(value)}")


def _is_text(value: object) -> bool:
    return type(value) in (int, float) or (isinstance(value, str) and usable_text(value) == value)


def given_path(option: str, text: str, base: Path | None = None, *, is_file: bool = False) -> Path:
    """Return the folder or file that an option names; ``~`` is the home.

    Args:
        option: its name, for the message.
        text: the value.
        base: the folder that a relative path starts from, None for the current one.
        is_file: expect a file.

    Raises:
        InstsegError: there is none.
    """
    path = (base or Path()) / os.path.expanduser(text)  # noqa: PTH111  (of no user of that name: it stays as it is)
    exists = os.path.isfile if is_file else os.path.isdir  # pathlib's raise for a name that is too long
    if not exists(path):
        raise InstsegError(f"dataset.{option}: no such {'file' if is_file else 'folder'}: {path}")
    return path
