"""``manifest.json``: what each start of a run was made of. Loads no torch: it is read before a run is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from instseg.core.errors import InstsegError
from instseg.core.records import Record, read_record, write_record

MANIFEST = "manifest.json"
REMEDY = "if the file is damaged, remove it: the training needs no manifest to be resumed"


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the repository that the code came from."""

    commit: str
    dirty_diff: str
    """Uncommitted changes."""
    untracked: list[str] = []
    """Names of new files, which no commit and no diff shows."""


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """The machine, as far as it changes how numbers are rounded. None: an early version did not note it."""

    platform: str
    cpu: str | None = None
    cpu_cores: int | None = None
    torch_threads: int | None = None
    gpus: list[str] = []
    cuda: str | None = None
    """The version that torch was built for; None without CUDA."""


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a run: its command, seed, data, code and machine."""

    started: str
    """UTC, ISO 8601."""
    command: list[str]
    """What starts the program, such as ``instseg train``, and the overrides."""
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    data_fingerprint: str
    git: Git | None
    """None outside of a repository."""
    packages: dict[str, str]
    """Name -> version, of Python, instseg and all it requires."""
    processes: int | None = None
    """Number of ranks; None: an early version did not note it."""
    hardware: Hardware


class Manifest(Record, frozen=True, kw_only=True):
    """All starts of a run, oldest first: a resumed run adds one."""

    starts: list[RunStart]


def read_manifest(run: Path) -> Manifest:
    """Read the manifest of a run folder.

    Raises:
        RecordError: it is missing or damaged.
    """
    return read_record(run / MANIFEST, Manifest, REMEDY)


def newest_start(run: Path) -> RunStart:
    """Return the newest start of a run: of one that was resumed, the start that finished it.

    Raises:
        InstsegError: the manifest is missing, damaged, or names no start.
    """
    starts = read_manifest(run).starts
    if not starts:
        raise InstsegError(f"{run / MANIFEST}: field starts: expected at least one, found none; {REMEDY}")
    return starts[-1]


def add_start(run: Path, start: RunStart) -> None:
    """Write the manifest of a run folder with one more start; the earlier ones are kept.

    Args:
        run: the folder.
        start: the new start.

    Raises:
        RecordError: the manifest that lies there is damaged.
    """
    earlier = read_manifest(run).starts if (run / MANIFEST).is_file() else []
    write_record(run / MANIFEST, Manifest(starts=[*earlier, start]))
