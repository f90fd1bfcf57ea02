"""The output folder of predictions: its owner, and the files of an earlier run that may be removed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from instseg.core.errors import InstsegError
from instseg.core.records import Record, RecordError, read_record, write_record

RECORD = "prediction_run.json"
REMEDY = "predict anew into another folder"


class Unreadable(msgspec.Struct, frozen=True):
    """An image file that could not be read."""

    file: str
    reason: str


class PredictionRecord(Record, frozen=True, kw_only=True):
    """The content of ``prediction_run.json``: the model, the predicted files, and the end of the run."""

    state: Literal["running", "done", "interrupted"] = "running"
    writes: list[str]
    """Files and folders in the output that the run makes."""
    save: list[str]
    image_folder: str
    """Absolute; images are named relative to it."""
    model: dict[str, object]
    num_images: int = 0
    num_instances: dict[str, int] = msgspec.field(default_factory=dict)
    unreadable: list[Unreadable] = msgspec.field(default_factory=list)
    video: dict[str, object] | None = None
    """Of a run on a video: which one, and the settings that change what is found in it."""


class PredictionFolder:
    """An output folder of one run at a time, in which only predictions are ever removed.

    ``prediction_run.json`` is written before anything else and says what the run makes, so that even a run that was
    killed is known again: its state stays ``running``.

    Args:
        path: the output; need not exist.
        writes: the files and folders in it that this run makes.
        known: the files and folders that any writer makes: of those named in an earlier run's record, only these are
            removed.
        overwrite: replace what an earlier run made.

    Raises:
        InstsegError: the folder holds an earlier run and ``overwrite`` is false, or something of the name of what will
            be written that no run wrote.
    """

    def __init__(self, path: Path, writes: Sequence[str], known: Collection[str], overwrite: bool) -> None:
        self.path, self.writes = path, list(writes)
        self.earlier = self._made_earlier(known)
        foreign = [name for name in writes if (path / name).exists() and name not in self.earlier]
        if foreign:
            raise InstsegError(
                f"output={path} has {', '.join(foreign)}, which no run of this program wrote (there is no {RECORD} "
                "that says so): choose another folder, or remove it yourself"
            )
        if (path / RECORD).exists() and not overwrite:
            raise InstsegError(
                f"output={path} holds the predictions of an earlier run ({', '.join(self.earlier) or RECORD}): "
                "choose another folder, or replace them with overwrite=true"
            )

    def _made_earlier(self, known: Collection[str]) -> list[str]:
        """Return the names in the record of an earlier run that are known and exist.

        A damaged record names nothing: the folder then has an owner that cannot be told, and nothing of it is removed.
        """
        try:
            made = read_record(self.path / RECORD, PredictionRecord, REMEDY).writes
        except RecordError:
            return []
        return [name for name in made if name in known and (self.path / name).exists()]

    def contains(self, path: Path) -> bool:
        """Tell whether a file was made by this or an earlier run."""
        own = {(self.path / name).absolute() for name in (*self.writes, *self.earlier)}
        return not own.isdisjoint(path.absolute().parents)

    def claim(self, record: PredictionRecord) -> None:
        """Remove the files of the earlier run, at the first call, and record this run as the owner of the folder."""
        earlier, self.earlier = self.earlier, []
        for name in earlier:
            if (self.path / name).is_dir() and not (self.path / name).is_symlink():
                shutil.rmtree(self.path / name)
            else:
                (self.path / name).unlink()
        self.update(record)

    def update(self, record: PredictionRecord) -> None:
        """Record the progress of the run, or its end."""
        try:
            write_record(self.path / RECORD, record)
        except OSError as error:
            raise InstsegError(f"output={self.path} cannot be written to: {error}") from error
