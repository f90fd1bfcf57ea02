"""The reason for which a job ended early, in a line that a table has room for."""

from __future__ import annotations

import re
import traceback
from typing import Literal

from instseg.core.atomic import DISK_FULL
from instseg.core.errors import InstsegError, causes

Kind = Literal["diverged", "out of memory", "refused", "crashed", "error"]
DIVERGED: Literal["diverged"] = "diverged"  # the loss is not finite
OUT_OF_MEMORY: Literal["out of memory"] = "out of memory"
REFUSED: Literal["refused"] = "refused"  # an InstsegError, or a config that cannot be composed
CRASHED: Literal["crashed"] = "crashed"  # the process died
ERROR: Literal["error"] = "error"  # any other
BAD_VALUES: tuple[Kind, ...] = (DIVERGED, OUT_OF_MEMORY)
"""Kinds that speak against the tried values themselves."""
MAX_REASON = 300  # characters
NO_MEMORY = re.compile("not enough memory|can't alloc|out of memory|_ALLOC_FAILED|killed by signal: Killed")
"""Words of torch, CUDA and its libraries, and of a DataLoader with a worker that the system killed."""
STOPS = {"KeyboardInterrupt", "SIGTERMException"}
"""Names of the classes of errors that a signal raises."""
OF_SIGNALS = range(129, 193)
"""Exit codes that say which signal ended a program."""


class Pruned(InstsegError):  # noqa: N818  (nothing is wrong)
    """A trial was pruned, because others were better at the same point of the training."""

    def __init__(self, message: str, value: float) -> None:
        super().__init__(message)
        self.value = value  # the monitored metric so far

    def __reduce__(self) -> tuple[type[Pruned], tuple[str, float]]:
        return type(self), (str(self), self.value)


class ProcessDiedError(Exception):
    """A process of the job was killed, or crashed: the job may be started again."""


def kind_of(error: BaseException) -> Kind:
    """Classify an error by the names of its classes, so that torch need not be imported."""
    names, text = _names(error), " ".join(map(str, causes(error)))
    if "NonFiniteLossError" in names:
        return DIVERGED
    if "OutOfMemoryError" in names or isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return OUT_OF_MEMORY
    return REFUSED if isinstance(error, InstsegError) else ERROR


def is_disk_full(error: BaseException) -> bool:
    """Tell whether a full disk caused the error, also where another process only said so in words."""
    return any(
        "DiskFullError" in _names(cause)
        or getattr(cause, "errno", None) in DISK_FULL
        or any(f"[Errno {code}]" in str(cause) for code in DISK_FULL)
        for cause in causes(error)
    )


def _names(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}


def ends_sweep(error: BaseException) -> bool:
    """Tell whether an error ends the whole sweep: Ctrl-C, a signal of a scheduler, or a full disk.

    Code that calls ``sys.exit`` ends its own job.
    """
    if isinstance(error, Exception):
        return is_disk_full(error)
    is_of_signal = isinstance(error, SystemExit) and error.code in OF_SIGNALS
    return is_of_signal or any(not STOPS.isdisjoint(_names(cause)) for cause in causes(error))


def reason_of(error: BaseException) -> str:
    """Return the kind of an error and the beginning of its message; the traceback has the rest."""
    kind, text = kind_of(error), " ".join(str(error).split())
    short = text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
    if kind == REFUSED:
        return short
    return f"{type(error).__name__ if kind == ERROR else kind}: {short}".rstrip(": ")


def full_text(error: BaseException) -> str:
    """Return the traceback of an error."""
    return "".join(traceback.format_exception(error))
