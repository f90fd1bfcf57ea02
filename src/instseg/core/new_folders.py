"""Folders that are made as a whole: filled under a temporary name, flushed to the disk, then renamed.

A process that is killed meanwhile leaves its temporary folder behind; the next one that makes a folder beside it
removes it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instseg.core.locks import exclusive_lock, sure_lock

SUFFIX, LOCK = ".partial", ".lock"
NUM_THREADS = 16
ABANDONED_SECONDS = 24 * 3600.0
"""A temporary file without a change for so long belongs to no living process; nor does a temporary folder, where the
file system has no locks."""
YOUNG_SECONDS = 60.0
"""A lock that was made so recently may be about to be taken."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder atomically: it is not there, or whole, even after a power cut.

    Yields a scratch folder to fill. It is renamed to ``path`` when the block ends, and removed when the block fails.

    Raises:
        OSError: another process has made the folder first.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{SUFFIX}")
    lock = _lock_of(scratch)
    try:
        with exclusive_lock(lock):
            _remove_abandoned(path.parent, lock.stat().st_mtime)
            scratch.mkdir()
            yield scratch
            sync_folder(scratch)
            scratch.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            lock.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until all files below a folder, and their names, are on the disk."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:  # the file system then writes many at once
        for _ in pool.map(_sync, [Path(where, name) for where, _, files in os.walk(folder) for name in ("", *files)]):
            pass


def _sync(path: Path) -> None:
    if path.is_symlink() or (os.name == "nt" and path.is_dir()):  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path, now: float) -> None:
    """Remove the temporary folders, locks and files of processes that were killed.

    Args:
        parent: of the folders.
        now: time in s by the clock of the file system, which may be another machine's.
    """
    locks = [lock for lock in parent.glob(f".*{SUFFIX}{LOCK}") if now - _last_change(lock) > YOUNG_SECONDS]
    for scratch in {*parent.glob(f".*{SUFFIX}"), *(lock.with_name(lock.name.removesuffix(LOCK)) for lock in locks)}:
        lock = _lock_of(scratch)
        with sure_lock(lock) as is_free:
            is_abandoned = is_free or now - _last_change(scratch) > ABANDONED_SECONDS
            if is_abandoned and scratch.exists():
                log.info("removing %s, which a killed process has left", scratch)
                shutil.rmtree(scratch, ignore_errors=True)
        if is_abandoned:
            with contextlib.suppress(OSError):
                lock.unlink()
    for file in parent.glob(".*.part"):
        if now - _last_change(file) > ABANDONED_SECONDS:
            file.unlink(missing_ok=True)


def _lock_of(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}{LOCK}")


def _last_change(path: Path) -> float:
    """Return the time in s of the last change in a folder or file; now where it is gone meanwhile: it has an owner."""
    times = []
    for found in (path, *path.rglob("*")):
        try:
            times.append(found.lstat().st_mtime)
        except OSError:
            return math.inf
    return max(times)
