"""Why a job ended early, in a line that a table has room for."""

from __future__ import annotations

import re
import traceback
from typing import Any

from instseg.errors import InstsegError

DIVERGED, OUT_OF_MEMORY, REFUSED, CRASHED, ERROR = "diverged", "out of memory", "refused", "crashed", "error"
"""The loss was no number; no memory; an InstsegError or a config that cannot be; the process died; any other."""
BAD_VALUES = (DIVERGED, OUT_OF_MEMORY)
"""Kinds that speak against the tried values themselves."""
MAX_REASON = 300  # characters


class Pruned(InstsegError):  # noqa: N818  (nothing is wrong)
    """A trial was given up because others were better at the same point of the training."""

    def __init__(self, message: str, value: float) -> None:
        super().__init__(message)
        self.value = value  # the monitored metric so far

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.value)


def kind_of(error: BaseException) -> str:
    """By names: torch need not be imported to ask."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if "NonFiniteLossError" in names:
        return DIVERGED
    text = str(error)
    if (
        "OutOfMemoryError" in names
        or isinstance(error, MemoryError)
        or re.search("not enough memory|can't alloc", text)
    ):
        return OUT_OF_MEMORY
    return REFUSED if isinstance(error, InstsegError) else ERROR


def reason_of(error: BaseException) -> str:
    """The kind, and the first line of the message; the traceback has the rest."""
    kind, text = kind_of(error), " ".join(str(error).split())
    short = text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
    if kind == REFUSED:
        return short
    return f"{type(error).__name__ if kind == ERROR else kind}: {short}".rstrip(": ")


def full_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
