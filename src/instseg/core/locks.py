"""Locks between the processes of one machine."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from instseg.core.errors import InstsegError

LOCK_POLL_SECONDS = 0.1
LOCK_REMINDER_SECONDS = 60.0
LOCK_PATIENCE_SECONDS = 6 * 3600.0

log = logging.getLogger(__name__)


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
        while _try_lock(file.fileno()) is False:
            now, doing = time.monotonic(), what or f"finish with {path.parent}"
            if now - begun > LOCK_PATIENCE_SECONDS:
                raise InstsegError(f"waited {now - begun:.0f} s for another process to {doing}; it holds {path}")
            if said == begun or now - said > LOCK_REMINDER_SECONDS:
                said = now
                log.info("waiting for another process to %s", doing)
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

    The system releases it even if the process is killed. Where the file system has no locks, none is ever held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _try_lock(file.fileno()) is not False


@contextlib.contextmanager
def sure_lock(path: Path) -> Iterator[bool]:
    """Try to take a lock as ``lock_if_free`` does; yields False where the file system has no locks to be sure of."""
    with path.open("a") as file:
        yield _try_lock(file.fileno()) is True


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the lock was taken, None where the file system has no locks."""
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
        log.warning("this file system has no locks (%s): do not run two downloads into one cache", error)
        return None
    return True
