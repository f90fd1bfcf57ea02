"""Reading and writing of json and text, within the memory that is free; names of files that labels give."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any

from instseg.core.atomic import replacing
from instseg.core.decoding import EncodingDoubt, decode_text, other_reading
from instseg.core.errors import InstsegError

HEAD_BYTES = 1 << 16
"""Enough of a file to find the keys in that its format is recognised by."""


def absolute_path(given: str | Path) -> Path:
    """Return the absolute path of what a user gives, which may begin with ``~``."""
    return home_path(given).absolute()


def home_path(given: str | Path) -> Path:
    """Return the path of what a user gives; ``~`` is the home, and ``~nobody`` of no user stays as it is."""
    return Path(os.path.expanduser(given))  # noqa: PTH111  (pathlib's raises for no user)


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write strict JSON atomically: a reader sees the old file or the whole new one.

    Args:
        path: the file; its folder is made where it is missing.
        content: plain containers.
        indent: spaces per level; None for one line.

    Raises:
        ValueError: the content holds NaN or infinity, which JSON does not have.
    """
    with replacing(path) as scratch:
        text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
        scratch.write_text(text, "utf-8", "backslashreplace")  # file names that are no UTF-8 become JSON escapes


BYTES_IN_MEMORY_PER_BYTE = 8
"""Memory of a json of polygons while it is parsed, text and Python objects together; measured 6 to 8."""
CACHE_TAG, CACHE_TAG_TEXT = "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"
"""Mark of a cache folder (bford.info/cachedir): its content is no dataset."""


def read_json(
    path: Path, note_encoding: Callable[[EncodingDoubt], None] | None = None, encoding: str | None = None
) -> Any:
    """Parse a json file, in UTF-8 or in an encoding that is guessed from its letters.

    Args:
        path: the file.
        note_encoding: called where the encoding was guessed, or where the bytes are text in another one, too.
        encoding: the only one it may have; None: it is guessed.

    Raises:
        InstsegError: the file is missing, is no json, or would not fit into memory.
    """
    check_memory(path, BYTES_IN_MEMORY_PER_BYTE)
    try:
        data = path.read_bytes()
        if encoding is not None:
            return json.loads(data.decode(encoding))
        try:
            content = json.loads(data)
            other = other_reading(data) if note_encoding is not None else None
            doubt = EncodingDoubt("utf-8", other) if other else None
        except UnicodeDecodeError:
            text, guessed = decode_text(data)
            content, doubt = json.loads(text), EncodingDoubt(guessed)
        if note_encoding is not None and doubt is not None:
            note_encoding(doubt)
        return content
    except FileNotFoundError as error:
        raise InstsegError(f"{path}: no such file") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InstsegError(f"{path}: not a json file: {error or type(error).__name__}") from error


def read_head(path: Path, num_bytes: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, to recognise it by; none where it cannot be read.

    Args:
        path: the file.
        num_bytes: how many.
    """
    try:
        with path.open("rb") as file:
            return file.read(num_bytes)
    except OSError:
        return b""


def check_no_links(folder: Path, allowed: Collection[str] = ()) -> None:
    """Require plain files and folders below a folder that is about to be written to.

    A folder that came from elsewhere may hold a link, through which a file outside of it would be replaced.

    Args:
        folder: need not exist.
        allowed: names in it that may be links to folders.

    Raises:
        InstsegError: something else lies in it, such as a link or a pipe.
    """
    for where, folders, files in os.walk(folder):
        if Path(where) == folder:
            folders[:] = [name for name in folders if name not in allowed]
        for path in (Path(where, name) for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                found = f"a link to {path.readlink()}" if stat.S_ISLNK(mode) else "a pipe or device"
                raise InstsegError(
                    f"{path}: expected a file or folder, found {found}, and nothing is written through it: replace it "
                    "by a copy, or remove it"
                )


def read_lines(path: Path, keep_empty: bool = False) -> list[str]:
    """Return the lines of a text file, stripped and without empty ones.

    Args:
        path: the file.
        keep_empty: keep empty lines before the last that is not, where the number of a line means something.

    Raises:
        InstsegError: the file cannot be opened.
    """
    try:
        text, _ = decode_text(path.read_bytes())
    except OSError as error:
        raise InstsegError(f"{path}: cannot be read: {error}") from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    return lines if keep_empty else [line for line in lines if line]


def check_memory(path: Path, bytes_per_byte: float) -> None:
    """Require enough free memory for a file.

    Args:
        path: the file; a missing one needs nothing.
        bytes_per_byte: bytes of memory needed per byte of the file.

    Raises:
        InstsegError: less is free.
    """
    if not path.is_file():
        return
    needed, free = path.stat().st_size * bytes_per_byte, free_memory_bytes()
    if free is not None and needed > free:
        raise InstsegError(
            f"{path}: {path.stat().st_size / 1e9:.1f} GB of json take about {needed / 1e9:.0f} GB of memory to read, "
            f"{free / 1e9:.0f} GB are free: split it into several files (dataset=multi reads them together)"
        )


def free_memory_bytes() -> int | None:
    """Return the memory that is still available in bytes; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def mark_as_cache(folder: Path) -> None:
    """Make a folder and mark it as a cache, so that a dataset root around it does not read its content as labels."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CACHE_TAG).exists():  # a link to nowhere is replaced, not followed
        with replacing(folder / CACHE_TAG) as scratch:
            scratch.write_text(CACHE_TAG_TEXT)


def clean_file_name(file_name: str, path: Path) -> str:
    """Return a file name with forward slashes and no leading ``./``.

    Args:
        file_name: as the labels have it.
        path: the file that has it, for the message.

    Raises:
        InstsegError: the name leads out of its folder.
    """
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.name or "\0" in file_name:
        raise InstsegError(f"{path}: file_name {file_name!r} is empty or leads out of the image folder")
    return name.as_posix()
