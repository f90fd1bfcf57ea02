"""Folders of the cache that are made once, and made again where a file in them is no longer what was written."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from instseg.core.file_states import check_seal, seal
from instseg.core.locks import exclusive_lock
from instseg.core.records import RecordError

log = logging.getLogger(__name__)


def made_once_and_whole(folder: Path, what: str, make: Callable[[], None]) -> None:
    """Make a folder unless it is there with every file as it was; of several processes one makes it, the others wait.

    Its seal lies beside it. A folder without one is taken as it is: it has its name, so it was whole once.

    Args:
        folder: to make.
        what: what ``make`` does, as a verb phrase, for messages.
        make: makes ``folder``, atomically.
    """
    seal_file = folder.with_name(f".{folder.name}.seal.json")
    if folder.is_dir() and seal_file.exists() and _damage(folder, seal_file, what) is None:
        return
    digest = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
    with exclusive_lock(folder.parent / f".{digest}.lock", what):
        damage = _damage(folder, seal_file, what)
        if damage is not None:
            log.warning("%s", damage)
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
        if not folder.is_dir():
            seal_file.unlink(missing_ok=True)
            make()
        if not seal_file.exists():
            seal(folder, seal_file)


def _damage(folder: Path, seal_file: Path, what: str) -> RecordError | None:
    """Return what is wrong with a folder that is there, None where nothing is or where it has no seal."""
    remedy = f"starting again to {what}"
    if folder.exists() and not folder.is_dir():
        return RecordError(f"{folder}: expected a folder, found a file; {remedy}")
    try:
        if folder.exists() and seal_file.exists():
            check_seal(folder, seal_file, remedy)
    except RecordError as error:
        return error
    return None
