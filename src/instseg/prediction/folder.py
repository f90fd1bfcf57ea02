"""The folder that predictions go to: whose it is, and what of it an earlier run may lose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.core.errors import InstsegError
from instseg.core.files import write_json
from instseg.prediction.writers.formats import FORMATS

RECORD = "prediction_run.json"
KNOWN = frozenset(export.writes for export in FORMATS.values())


class PredictionFolder:
    """Two runs never mix, and nothing that is not a prediction is ever removed.

    ``prediction_run.json`` is written before anything else and says what the run makes, so that even a run that was
    killed is known again: its state stays ``running``.

    Args:
        path: the output; need not exist.
        writes: the files and folders in it that this run makes.
        overwrite: replace what an earlier run made.

    Raises:
        InstsegError: when the folder holds an earlier run and ``overwrite`` is false, or something of the name of
            what will be written that is no run's.
    """

    def __init__(self, path: Path, writes: Sequence[str], overwrite: bool) -> None:
        self.path, self.writes = path, list(writes)
        self.record: dict[str, Any] = {}
        self.earlier = self._made_earlier()
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

    def _made_earlier(self) -> list[str]:
        """Names that the record of an earlier run has, as far as they are ours and still there."""
        try:
            made = json.loads((self.path / RECORD).read_bytes())["writes"]
            return [name for name in made if name in KNOWN and (self.path / name).exists()]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def contains(self, path: Path) -> bool:
        """Whether a file is something that this or an earlier run made."""
        own = {(self.path / name).absolute() for name in (*self.writes, *self.earlier)}
        return not own.isdisjoint(path.absolute().parents)

    def claim(self, record: Mapping[str, Any]) -> None:
        """Remove what the earlier run made, and say whose the folder is from now on."""
        for name in self.earlier:
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)
            else:
                (self.path / name).unlink()
        self.record = {"state": "running", "writes": self.writes, **record}
        self._write_record()

    def close(self, state: str, **results: Any) -> None:
        """Write down how it ended: done or interrupted."""
        self.record |= {"state": state, **results}
        self._write_record()

    def _write_record(self) -> None:
        try:
            write_json(self.path / RECORD, self.record, indent=2)
        except OSError as error:
            raise InstsegError(f"output={self.path} cannot be written to: {error}") from error
