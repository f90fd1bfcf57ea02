"""One run at a time writes into a run folder.

The system's lock on a file decides, which a process loses in the moment it dies, however it dies. What the owner writes
into the file is for people, and for other machines whose locks may not be visible here: an owner touches its file
every few seconds, and one that is not seen to do so for a while is taken for dead.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NoReturn

from instseg.core.errors import InstsegError

OWNER_FILE = ".owner.json"
BEAT_SECONDS = 10.0
BEATS_WITHOUT_LIFE = 3
_dead: list[dict[str, Any]] = []  # owners on other machines that this process has watched in vain
_owned: set[Path] = set()  # a process does not conflict with its own lock, and loses it when it closes the file once

log = logging.getLogger(__name__)


@contextlib.contextmanager
def sole_owner(run_dir: Path) -> Iterator[None]:
    """Own the folder inside the block; InstsegError with process, host and time where a run that lives owns it."""
    path = run_dir.absolute() / OWNER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = _refuse_if_seen_alive(path)
    with path.open("a", encoding="utf-8") as file:
        if not _locked(file):
            _refuse(path, owner)
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        _write(file, json.dumps(about))
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
    """InstsegError where a process that lives owns the folder: for a look before anything is written to it."""
    path = run_dir.absolute() / OWNER_FILE
    owner = _refuse_if_seen_alive(path)
    if path.is_file():
        with path.open("a", encoding="utf-8") as file:
            if not _locked(file):
                _refuse(path, owner)


def _refuse_if_seen_alive(path: Path) -> dict[str, Any] | None:
    """Who owns the folder, as far as its file says, unless that is this process or is seen to live elsewhere."""
    owner = _owner(path)
    if path in _owned:
        _refuse(path, owner)
    if owner is not None and owner["host"] != socket.gethostname() and owner not in _dead:
        if _is_touched(path, owner):
            _refuse(path, owner)
        _dead.append(owner)
    return owner


def _owner(path: Path) -> dict[str, Any] | None:
    if path in _owned:
        return {"pid": os.getpid(), "host": socket.gethostname(), "since": "its start"}
    with contextlib.suppress(OSError, ValueError):
        owner = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(owner, dict) and {"pid", "host", "since"} <= owner.keys():
            return owner
    return None


def _is_touched(path: Path, owner: dict[str, Any]) -> bool:
    """Watch for a sign of life."""
    log.warning(  # heard before a logger is set up, too
        "%s belongs to process %s on %s. Whether that lives will be known in %.0f seconds",
        path.parent, owner["pid"], owner["host"], BEATS_WITHOUT_LIFE * BEAT_SECONDS,
    )  # fmt: skip
    before = _touched_at(path)
    for _ in range(BEATS_WITHOUT_LIFE):
        time.sleep(BEAT_SECONDS)
        if _touched_at(path) != before:
            return True
    return False


def _touched_at(path: Path) -> int:
    """Opened anew each time, because network file systems remember what they saw."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _refuse(path: Path, owner: dict[str, Any] | None) -> NoReturn:
    who = f"process {owner['pid']} on {owner['host']} since {owner['since']}" if owner else "another process"
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
