"""Files and folders that are whole or not there: made under another name beside their own, then renamed."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

LOCK_POLL_SECONDS = 0.1

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
def exclusive_lock(path: Path) -> Iterator[None]:
    """Let one process at a time pass, on this machine; released by the system even if its holder is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not _try_lock(file.fileno()):
            logger.info("waiting for another process to finish with %s", path.parent)
            while not _try_lock(file.fileno()):
                time.sleep(LOCK_POLL_SECONDS)
        yield


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
