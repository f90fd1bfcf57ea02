"""Files and folders that are whole or not there: made under another name beside their own, then renamed."""

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
"""Error numbers of a disk, or one's share of it, that takes no more."""
LOCK_POLL_SECONDS = 0.1
LOCK_SAY_SECONDS = 60.0
LOCK_PATIENCE_SECONDS = 6 * 3600.0

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A scratch path to write to, which takes the name ``path`` when the block ends and is removed when it fails.

    A reader sees the old file or the whole new one. Makes the folder. ``sync`` waits for the disk, for files that
    must outlive a power cut.
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
    """Bytes reach the disk before the name does, so that a power cut leaves no named but empty file."""
    with scratch.open("rb+") as file:
        os.fsync(file.fileno())
    scratch.replace(path)


def keep_as(path: Path, kept: Path) -> None:
    """Also name the file ``kept``, in the place of what had that name; ``path`` is never missing in between.

    A file system without hard links gets a rename: the file that takes the name ``path`` next closes the gap.
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
    """What killed processes have left half-written; for who owns the folder."""
    for scratch in folder.glob(".*.part"):
        scratch.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """The file is either as before or whole, never half written, even after a power cut. UTF-8."""
    with replacing(path, sync=True) as scratch:
        scratch.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A scratch folder to fill, which takes the name ``path`` when the block ends and is removed when it fails.

    Of several processes that make the same folder the first to finish wins; the others get an OSError at the end.
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
    """Let one process at a time pass, on this machine; released by the system even if its holder is killed.

    ``what`` the holder is busy with is said while waiting; InstsegError after LOCK_PATIENCE_SECONDS.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        begun = said = time.monotonic()
        while not _try_lock(file.fileno()):
            now, doing = time.monotonic(), what or f"finish with {path.parent}"
            if now - begun > LOCK_PATIENCE_SECONDS:
                raise InstsegError(f"waited {now - begun:.0f} s for another process to {doing}; it holds {path}")
            if said == begun or now - said > LOCK_SAY_SECONDS:
                said = now
                logger.info("waiting for another process to %s", doing)
            time.sleep(LOCK_POLL_SECONDS)
        yield


def made_once(path: Path, what: str, make: Callable[[], None]) -> None:
    """Have ``make`` bring a file or folder into being where it is missing; of several processes one does, others wait.

    Ranks that are started together, and jobs of a sweep, all find the same work undone.
    """
    if path.exists():
        return
    digest = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    with exclusive_lock(path.parent / f".{digest}.lock", what):
        if not path.exists():
            make()


@contextlib.contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Whether nobody else holds this lock; if so it is held inside the block, and released even by a killed process."""
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
        logger.warning("this file system has no locks (%s): do not start two downloads into one cache", error)
    return True
