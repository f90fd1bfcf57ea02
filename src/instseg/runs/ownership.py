"""The owner of a run folder: one run at a time writes to it.

The system's lock on a file decides, which a process loses the moment it dies, however it dies. The content of the file
is for people, and for other machines whose locks may not be visible here: an owner touches its file every few seconds,
and one that does not for a while is considered dead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from instseg.core.errors import InstsegError
from instseg.core.files import check_no_links
from instseg.core.records import INVALID, Record, convert_record, format_record

MAY_BE_LINKS = ("checkpoints",)  # to a larger disk; files in there are only ever replaced, never written through
OWNER_FILE = ".owner.json"
REMEDY = "remove the file if no run writes to this folder"
BEAT_SECONDS = 10.0
BEATS_WITHOUT_LIFE = 3


class Owner(Record, frozen=True, kw_only=True):
    """The process that owns a run folder."""

    pid: int
    host: str
    since: str
    """Local time, to be read by people."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


_dead: list[Owner] = []  # owners on other machines that this process has watched in vain
_owned: set[Path] = set()  # a process does not conflict with its own lock, and loses it when it closes the file once

log = logging.getLogger(__name__)


@contextlib.contextmanager
def sole_owner(run_dir: Path) -> Iterator[None]:
    """Own the folder inside the block.

    Raises:
        InstsegError: a live run owns it, named by process, host and time; its owner file is damaged; or the folder
            holds a link.
    """
    check_no_links(run_dir, MAY_BE_LINKS)
    path = run_dir.absolute() / OWNER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = _refuse_if_seen_alive(path)
    with path.open("a", encoding="utf-8") as file:
        if not _locked(file):
            _refuse(path, owner)
        _write(file, format_record(_this_process(f"{datetime.now():%Y-%m-%d %H:%M:%S}")))
        stopped = threading.Event()
        beating = threading.Thread(target=_beat, args=(path, stopped), daemon=True)
        beating.start()
        _owned.add(path)
        try:
            yield
        finally:
            _owned.discard(path)
            stopped.set()
            beating.join()
            with contextlib.suppress(OSError):
                _write(file, "")  # not removed: another process may have opened it to lock it


def refuse_if_owned(run_dir: Path) -> None:
    """Check, before anything is written to a folder, that no live process owns it.

    Raises:
        InstsegError: one does, its owner file is damaged, or the folder holds a link.
    """
    check_no_links(run_dir, MAY_BE_LINKS)
    path = run_dir.absolute() / OWNER_FILE
    owner = _refuse_if_seen_alive(path)
    if path.is_file():
        with path.open("a", encoding="utf-8") as file:
            if not _locked(file):
                _refuse(path, owner)


def read_owner(path: Path) -> Owner | None:
    """Read an owner file; None where nobody owns the folder.

    An owner does not write its file atomically, because the lock is on the file itself: an empty or half-written one
    is what a killed process left, and means None. The lock then decides alone.

    Raises:
        RecordError: the file is whole, but another version wrote it, or something else did.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, *INVALID):
        return None
    return convert_record(content, Owner, str(path), REMEDY)


def _refuse_if_seen_alive(path: Path) -> Owner | None:
    """Return the owner that the file names, unless that is this process or is seen to be alive elsewhere."""
    if path in _owned:
        _refuse(path, _this_process("its start"))
    owner = read_owner(path)
    if owner is not None and owner.host != socket.gethostname() and owner not in _dead:
        if _is_touched(path, owner):
            _refuse(path, owner)
        _dead.append(owner)
    return owner


def _this_process(since: str) -> Owner:
    return Owner(pid=os.getpid(), host=socket.gethostname(), since=since)


def _is_touched(path: Path, owner: Owner) -> bool:
    """Watch for a sign of life."""
    log.warning(  # shown before a logger is set up, too
        "%s belongs to %s. Checking for %.0f seconds whether that is alive",
        path.parent, owner, BEATS_WITHOUT_LIFE * BEAT_SECONDS,
    )  # fmt: skip
    before = _touched_at(path)
    for _ in range(BEATS_WITHOUT_LIFE):
        time.sleep(BEAT_SECONDS)
        if _touched_at(path) != before:
            return True
    return False


def _touched_at(path: Path) -> int:
    """Open the file each time, because network file systems cache what they saw."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _refuse(path: Path, owner: Owner | None) -> NoReturn:
    who = f"{owner} since {owner.since}" if owner else "another process"
    raise InstsegError(
        f"{path.parent} is being written to by {who}. Two runs in one folder would spoil each other's checkpoints: "
        "wait for it, or stop it"
    )


def _locked(file: IO[str]) -> bool:
    """Take the lock; False when another process has it. It is a process's own: loader workers do not inherit it."""
    try:
        import fcntl

        fcntl.lockf(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError) as error:  # Windows, or a file system without locks
        log.warning("no locks here (%s): do not start two runs in one folder", error)
    return True


def _write(file: IO[str], text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()


def _beat(path: Path, stopped: threading.Event) -> None:
    while not stopped.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            path.touch()
