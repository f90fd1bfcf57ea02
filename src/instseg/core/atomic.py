"""Atomic files, made under a temporary name beside their own and then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of an exhausted quota."""


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
