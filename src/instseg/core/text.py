"""Text for messages and file names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from instseg.core.errors import InstsegError

MAX_NAME_BYTES = 255  # of file systems


def shown(names: Iterable[Any], limit: int = 8) -> str:
    """A few of the names for a message: ``a, b, c and 12 more``."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return (", ".join(listed[:limit]) + more) or "nothing"


def clean_file_name(file_name: str, path: Path) -> str:
    """Forward slashes, no leading ``./``; InstsegError for a name that climbs out of its folder."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.name or "\0" in file_name:
        raise InstsegError(f"{path}: file_name {file_name!r} is empty or leads out of the image folder")
    return name.as_posix()


def usable_text(value: Any) -> str:
    """Text that any file name, file and terminal can hold; empty for everything else."""
    if not isinstance(value, str) or "\0" in value:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which json can spell
        return ""
    return value


def is_file_name(name: str) -> bool:
    """Whether ``usable_text`` without folders can name a file: not empty, not the way up, not too long."""
    return name not in ("", ".", "..") and len(name.encode()) <= MAX_NAME_BYTES


def shortened(names: Collection[str], limit: int = 3) -> str:
    """The first of the names: ``a, b, c, …``."""
    return ", ".join(list(names)[:limit]) + (", …" if len(names) > limit else "")


def plural(count: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{count:,} {noun}" + "s" * (count != 1)
