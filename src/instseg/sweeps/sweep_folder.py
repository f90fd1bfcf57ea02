"""The folder of a sweep: one small json file for each job, written whole by the process that runs it.

``<sweep>/sweep.json`` says what was asked for, ``<sweep>/jobs/007.json`` what became of a job, with its traceback
beside it where it failed. Nothing else is needed to resume a sweep, or to rank its jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.records import RecordError, read_record, write_record
from instseg.core.text import MAX_NAME_BYTES
from instseg.sweeps.records import JobRecord, SweepInfo

LOCK = ".lock"
"""Held by the process that works on the sweep."""
MAX_PATH = 4000
JOB_FILE = re.compile(r"([0-9]{3,9})\.json")
REMEDY_SWEEP = "this sweep cannot be resumed or shown; start it again in a new folder"
REMEDY_JOB = "delete the file, and a resumed sweep runs the job again"


class SweepFolder:
    """The folder of one sweep, through which its records are read and written."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def info_file(self) -> Path:
        """The file that makes a folder that of a sweep."""
        return self.path / "sweep.json"

    def read_info(self) -> SweepInfo:
        """Read the request.

        Raises:
            InstsegError: the folder is no sweep's.
            RecordError: the file is damaged, or of another version.
        """
        if not self.info_file.is_file():
            raise InstsegError(f"{self.path}: expected the folder of a sweep, found no {self.info_file.name} in it")
        return read_record(self.info_file, SweepInfo, REMEDY_SWEEP)

    def write_info(self, info: SweepInfo) -> None:
        """Write the request, atomically."""
        write_record(self.info_file, info)

    def find(self, number: int) -> JobRecord | None:
        """Read the record of a job; None where the job was never announced."""
        return self.read(number) if self.job_file(number).is_file() else None

    def read(self, number: int) -> JobRecord:
        """Read the record of a job.

        Raises:
            RecordError: it is missing, damaged, of another version, or that of another job.
        """
        file = self.job_file(number)
        record = read_record(file, JobRecord, REMEDY_JOB)
        if record.number != number:
            raise RecordError(f"{file}: field number: expected {number}, found {record.number}; {REMEDY_JOB}")
        if record.run_dir is not None and not is_possible_path(record.run_dir):
            raise RecordError(f"{file}: field run_dir: expected a path, found {record.run_dir[:80]!r}; {REMEDY_JOB}")
        return record

    def check_run(self, record: JobRecord) -> None:
        """Refuse a record that leads elsewhere than to a run beside the sweep, before anything is read there.

        A path where there is nothing passes: a sweep that was moved keeps the places its runs had.

        Raises:
            RecordError: the folder of the run lies outside of the outputs, or a link leads there.
        """
        outputs, run_dir = self.path.parents[1], Path(record.run_dir or "")  # which hold the sweeps/ and all runs
        if record.run_dir and run_dir.exists() and not run_dir.resolve().is_relative_to(outputs.resolve()):
            raise RecordError(
                f"{self.job_file(record.number)}: field run_dir: expected a folder below {outputs}, found {run_dir}, "
                f"and a sweep reads and resumes no other run; {REMEDY_JOB}"
            )

    def write(self, record: JobRecord) -> JobRecord:
        """Write a record, atomically, and return it."""
        write_record(self.job_file(record.number), record)
        return record

    def records(self, keys: Sequence[str] = ()) -> list[JobRecord]:
        """Read the records of all jobs, by number.

        Args:
            keys: the swept keys, for which each job must have a value.

        Raises:
            RecordError: one of them is damaged, or lacks a value.
        """
        records = [self.read(number) for number in sorted(self._numbers())]
        for record in records:
            if missing := [key for key in keys if key not in record.values]:
                file = self.job_file(record.number)
                raise RecordError(f"{file}: field values: expected the key {missing[0]}, found none; {REMEDY_JOB}")
        return records

    def job_file(self, number: int) -> Path:
        """Return the file of a job's record."""
        return self._file(number, ".json")

    def traceback_file(self, number: int) -> Path:
        """Return the file for the traceback of a job that failed."""
        return self._file(number, "_traceback.txt")

    def lock_file(self, number: int) -> Path:
        """Return the lock that the process of a job holds, so that nobody takes it for dead, or starts it twice."""
        return self._file(number, ".lock")

    def remove_if_unused(self, made_above: Sequence[Path] = ()) -> None:
        """Leave nothing of a sweep that was refused at its start; a folder that holds anything else stays.

        Args:
            made_above: folders around it that were made for it, the nearest first.
        """
        if not self.info_file.is_file():
            with suppress(OSError):
                (self.path / LOCK).unlink()
                for folder in (self.path, *made_above):
                    folder.rmdir()

    def _numbers(self) -> Iterator[int]:
        for file in self.path.glob("jobs/*.json"):
            if found := JOB_FILE.fullmatch(file.name):
                yield int(found[1])

    def _file(self, number: int, ending: str) -> Path:
        return self.path / "jobs" / f"{number:03d}{ending}"


def is_possible_path(text: str) -> bool:
    """Tell whether file systems accept a path, whether or not there is anything."""
    is_short = all(len(part.encode()) <= MAX_NAME_BYTES for part in Path(text).parts)
    return "\0" not in text and is_short and len(text) < MAX_PATH


def newest_sweep(outputs: Path, chosen: str | None = None, remedy: str = "") -> Path:
    """Find the sweep that was started last.

    Args:
        outputs: the folder around all runs and sweeps.
        chosen: an override that its command must hold, such as ``sweep=optuna``.
        remedy: the end of the message where there is none.

    Raises:
        InstsegError: there is none.
    """
    found = sorted((file.parent for file in outputs.glob("sweeps/*/sweep.json")), key=lambda path: path.name)
    for folder in reversed(found):
        if chosen is None or chosen in SweepFolder(folder).read_info().command:
            return folder
    raise InstsegError(f"no {chosen or 'sweep'} below {outputs.absolute()}{remedy}")
