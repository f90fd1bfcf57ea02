"""The note on its failure that a command leaves for the process that started it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.records import Record, read_record, write_record
from instseg.core.text import utf8_text

NOTE_VARIABLE = "INSTSEG_FAILURE_NOTE"
"""Environment variable: the file to which a command that a sweep started writes why it failed."""
RANK_ENDED = "RankEndedError"
"""The kind of failure of a rank that died without leaving a reason."""
REMEDY = "the log of the job says more"


class FailureNote(Record, frozen=True, kw_only=True):
    """The error that ended a command."""

    kind: Annotated[str, msgspec.Meta(pattern=r"\A\w+\Z")]
    """Name of its class."""
    message: str
    value: float | None = None
    """The monitored metric of a trial that was pruned; None also where that is NaN."""


def note_failure(kind: str, message: str, value: float | None = None) -> None:
    """Write a note, on the first rank of a command that a sweep started.

    Args:
        kind: name of the error's class.
        message: its text.
        value: the monitored metric, of a trial that was pruned.
    """
    if NOTE_VARIABLE in os.environ and not getattr(rank_zero_only, "rank", 0):
        text = utf8_text(message)  # a file's name in it may not be UTF-8
        write_record(Path(os.environ[NOTE_VARIABLE]), FailureNote(kind=kind, message=text, value=value))


def read_failure_note(path: Path) -> FailureNote:
    """Read the note of a command that has ended.

    Raises:
        RecordError: it is missing or damaged.
    """
    return read_record(path, FailureNote, REMEDY)
