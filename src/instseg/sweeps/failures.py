"""Why a job ended early, in a line that a table has room for."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import Any

from instseg.core.atomic import DISK_FULL
from instseg.core.errors import InstsegError

DIVERGED, OUT_OF_MEMORY, REFUSED, CRASHED, ERROR = "diverged", "out of memory", "refused", "crashed", "error"
"""The loss was no number; no memory; an InstsegError or a config that cannot be; the process died; any other."""
BAD_VALUES = (DIVERGED, OUT_OF_MEMORY)
"""Kinds that speak against the tried values themselves."""
MAX_REASON = 300  # characters
NO_MEMORY = re.compile("not enough memory|can't alloc|out of memory|_ALLOC_FAILED|killed by signal: Killed")
"""Words of torch, CUDA and its libraries, and of a DataLoader whose worker the system has killed."""


class Pruned(InstsegError):  # noqa: N818  (nothing is wrong)
    """A trial was given up because others were better at the same point of the training."""

    def __init__(self, message: str, value: float) -> None:
        super().__init__(message)
        self.value = value  # the monitored metric so far

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.value)


class ProcessDiedError(Exception):
    """A process of the job was killed, or has crashed: the job may be started again."""


def kind_of(error: BaseException) -> str:
    """By names: torch need not be imported to ask."""
    names, text = _names(error), " ".join(map(str, _with_causes(error)))
    if "NonFiniteLossError" in names:
        return DIVERGED
    if "OutOfMemoryError" in names or isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return OUT_OF_MEMORY
    return REFUSED if isinstance(error, InstsegError) else ERROR


def is_disk_full(error: BaseException) -> bool:
    """Also where another process, a loader's or a job's, has only said so in words."""
    return any(
        "DiskFullError" in _names(cause)
        or getattr(cause, "errno", None) in DISK_FULL
        or any(f"[Errno {code}]" in str(cause) for code in DISK_FULL)
        for cause in _with_causes(error)
    )


def _names(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def reason_of(error: BaseException) -> str:
    """The kind, and the first line of the message; the traceback has the rest."""
    kind, text = kind_of(error), " ".join(str(error).split())
    short = text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
    if kind == REFUSED:
        return short
    return f"{type(error).__name__ if kind == ERROR else kind}: {short}".rstrip(": ")


def full_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
