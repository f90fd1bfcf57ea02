"""Atomic files and folders, made under a temporary name beside their own and then renamed; and locks of processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from instseg.core.errors import InstsegError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of an exhausted quota."""
LOCK_POLL_SECONDS = 0.1
LOCK_REMINDER_SECONDS = 60.0
LOCK_PATIENCE_SECONDS = 6 * 3600.0

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Replace a file atomically: readers see the old file or the whole new one.

    Yields a scratch path to write to. It is renamed to ``path`` when the block ends, and removed when the block fails.

    Args:
        path: the file to replace; its folder is made where it is missing.
        sync: wait for the disk, for files that must survive a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield scratch
        if sync:
            sync_and_rename(scratch, path)
        else:
            scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def sync_and_rename(scratch: Path, path: Path) -> None:
    """Rename a file once its bytes are on the disk, so that a power cut leaves no empty file of that name.

    Args:
        scratch: the finished file.
        path: its final name, in the same file system.
    """
    with scratch.open("rb+") as file:
        os.fsync(file.fileno())
    scratch.replace(path)


def keep_as(path: Path, kept: Path) -> None:
    """Give a file a second name; the first is never missing meanwhile.

    A file system without hard links gets a rename instead: ``path`` is missing until a new file takes that name.

    Args:
        path: the file.
        kept: the second name; a file that has it is replaced.
    """
    scratch = kept.with_name(f".{kept.name}.{os.getpid()}.part")
    try:
        scratch.unlink(missing_ok=True)
        os.link(path, scratch)
    except OSError:
        path.replace(kept)
    else:
        scratch.replace(kept)
        scratch.unlink(missing_ok=True)  # both names were the same file already: nothing was renamed


def remove_scratch(folder: Path) -> None:
    """Remove half-written files of killed processes; only the owner of the folder may do so."""
    for scratch in folder.glob(".*.part"):
        scratch.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8; the file is the old or the new one, never half of it, even after a power cut.

    Args:
        path: the file; its folder is made where it is missing.
        text: the whole content.
    """
    with replacing(path, sync=True) as scratch:
        scratch.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder atomically.

    Yields a scratch folder to fill. It is renamed to ``path`` when the block ends, and removed when the block fails.

    Raises:
        OSError: another process has made the folder first.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        scratch.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def exclusive_lock(path: Path, what: str = "") -> Iterator[None]:
    """Hold a lock that one process of this machine at a time can hold; the system releases it if its holder is killed.

    Args:
        path: the file to lock.
        what: what the holder does, as a verb phrase ("download x"), for messages while waiting.

    Raises:
        InstsegError: the lock was not free for LOCK_PATIENCE_SECONDS.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        begun = said = time.monotonic()
        while not _try_lock(file.fileno()):
            now, doing = time.monotonic(), what or f"finish with {path.parent}"
            if now - begun > LOCK_PATIENCE_SECONDS:
                raise InstsegError(f"waited {now - begun:.0f} s for another process to {doing}; it holds {path}")
            if said == begun or now - said > LOCK_REMINDER_SECONDS:
                said = now
                logger.info("waiting for another process to %s", doing)
            time.sleep(LOCK_POLL_SECONDS)
        yield


def made_once(path: Path, what: str, make: Callable[[], None]) -> None:
    """Make a file or folder unless it exists; of several processes one makes it while the others wait.

    Ranks that start together, and jobs of a sweep, all find the same work undone.

    Args:
        path: the file or folder.
        what: what ``make`` does, as a verb phrase, for messages while waiting.
        make: makes ``path``.
    """
    if path.exists():
        return
    digest = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    with exclusive_lock(path.parent / f".{digest}.lock", what):
        if not path.exists():
            make()


@contextlib.contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Try to take a lock without waiting; yields whether this process holds it inside the block.

    The system releases it even if the process is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _try_lock(file.fileno())


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # held by another process, as Linux and Windows say it
        return False
    except OSError as error:
        logger.warning("this file system has no locks (%s): do not run two downloads into one cache", error)
    return True
