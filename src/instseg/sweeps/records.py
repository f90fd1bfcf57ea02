"""What a sweep knows, in its folder: one small json for each job, written whole by the process that runs it.

``<sweep>/sweep.json`` says what was asked for, ``<sweep>/jobs/007.json`` what became of a job, with its traceback
beside it where it failed. Nothing else is needed to go on with a sweep, or to rank it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError

WAITING, RUNNING, INTERRUPTED = "waiting", "running", "interrupted"
DONE, FAILED, PRUNED, RETRIED = "done", "failed", "pruned", "retried"
LOCK = ".lock"
"""Held by the process that works on the sweep."""
FINISHED = (DONE, FAILED, PRUNED, RETRIED)
"""States in which a job is not run again; ``retried``: another job has taken its place."""


@dataclass(frozen=True)
class Job:
    """One training of a sweep."""

    number: int  # from 0
    values: Mapping[str, str]  # what it differs in from the others: key -> value, as typed
    overrides: tuple[str, ...]  # everything that composes its config


@dataclass(frozen=True)
class JobRecord:
    """What is known of a job."""

    number: int
    values: Mapping[str, str]
    overrides: tuple[str, ...]
    state: str = WAITING
    metric: float | None = None  # the monitored one; of a pruned job the last
    run_dir: str | None = None
    kind: str | None = None  # of failure: see ``failures.kind_of``
    reason: str | None = None  # why it failed, or was pruned
    started: str | None = None  # UTC, ISO 8601
    seconds: float = 0.0  # of all attempts that came to an end
    attempts: int = 0  # since the last one that ended in order

    @classmethod
    def of(cls, job: Job) -> JobRecord:
        return cls(job.number, dict(job.values), job.overrides)


@dataclass(frozen=True)
class SweepInfo:
    """What was asked for."""

    command: list[str]  # without the program's name
    strategy: dict[str, Any]  # as in conf/sweep, with its _target_
    metric: str  # such as val/segm_map …
    mode: str  # … and whether it is better when it is max or min
    values: list[str] = field(default_factory=list)  # the swept keys

    def better(self, one: float, other: float) -> bool:
        return one > other if self.mode == "max" else one < other


class SweepFolder:
    """Reads and writes the records of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def info_file(self) -> Path:
        return self.path / "sweep.json"

    def read_info(self) -> SweepInfo:
        """InstsegError where the folder is no sweep's."""
        if not self.info_file.is_file():
            raise InstsegError(f"{self.path}: no sweep has written here (there is no {self.info_file.name})")
        return SweepInfo(**json.loads(self.info_file.read_text(encoding="utf-8")))

    def write_info(self, info: SweepInfo) -> None:
        write_text_atomically(self.info_file, json.dumps(asdict(info), indent=2) + "\n")

    def read(self, number: int) -> JobRecord | None:
        file = self._file(number, ".json")
        if not file.is_file():
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
        return JobRecord(**content | {"overrides": tuple(content["overrides"])})

    def write(self, record: JobRecord, **changes: Any) -> JobRecord:
        """Write a record with some of its fields changed; the record as written."""
        record = replace(record, **changes)
        write_text_atomically(self._file(record.number, ".json"), json.dumps(asdict(record), indent=2) + "\n")
        return record

    def records(self) -> list[JobRecord]:
        """All of them, by number."""
        numbers = sorted(int(file.stem) for file in self.path.glob("jobs/*.json"))
        return [record for number in numbers if (record := self.read(number))]

    def traceback_file(self, number: int) -> Path:
        return self._file(number, "_traceback.txt")

    def lock_file(self, number: int) -> Path:
        """Held by the process that runs the job, so that nobody takes it for dead, or starts it twice."""
        return self._file(number, ".lock")

    def remove_if_unused(self) -> None:
        """A sweep that is refused at its start leaves nothing; a folder in which something else lies stays."""
        if not self.info_file.is_file():
            with suppress(OSError):
                (self.path / LOCK).unlink()
                self.path.rmdir()

    def _file(self, number: int, ending: str) -> Path:
        return self.path / "jobs" / f"{number:03d}{ending}"


def newest_sweep(outputs: Path, chosen: str | None = None) -> Path:
    """The sweep that was started last below an outputs folder, by a command with ``chosen`` in it where that is given.

    InstsegError where there is none.
    """
    found = [file.parent for file in outputs.glob("sweeps/*/sweep.json")]
    if chosen is not None:
        found = [folder for folder in found if chosen in SweepFolder(folder).read_info().command]
    if not found:
        raise InstsegError(f"no {chosen or 'sweep'} below {outputs.absolute()}")
    return max(found, key=lambda path: path.name)
