"""Reading and writing json and text, within the memory there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write strict JSON atomically, making its folder: a reader sees the old file or the whole new one.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    with replacing(path) as scratch:
        text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
        scratch.write_text(text, "utf-8", "backslashreplace")  # file names that are no UTF-8 become JSON's own escapes


BYTES_IN_MEMORY_PER_BYTE = 8
"""What a json of polygons takes as Python objects, with the text beside it while it is parsed; measured 6 to 8."""
CACHE_TAG, CACHE_TAG_TEXT = "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"
"""Marks a folder as a cache (bford.info/cachedir): what it holds is no one's data set."""


def read_json(path: Path) -> Any:
    """Parse a json file; InstsegError for what is none, is not UTF-8, or would not fit into the memory."""
    check_memory(path, BYTES_IN_MEMORY_PER_BYTE)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InstsegError(f"{path}: no such file") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InstsegError(f"{path}: not a json file: {error or type(error).__name__}") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text, stripped, empty ones aside; InstsegError when it cannot be opened."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InstsegError(f"{path}: cannot be read: {error}") from error
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def check_memory(path: Path, bytes_per_byte: float) -> None:
    """InstsegError when so many bytes of memory for each of the file are not to be had."""
    if not path.is_file():
        return
    needed, free = path.stat().st_size * bytes_per_byte, free_memory_bytes()
    if free is not None and needed > free:
        raise InstsegError(
            f"{path}: {path.stat().st_size / 1e9:.1f} GB of json take about {needed / 1e9:.0f} GB of memory to read, "
            f"{free / 1e9:.0f} GB are free: divide it into several files (dataset=multi reads them together)"
        )


def free_memory_bytes() -> int | None:
    """What programs may still take, None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def mark_as_cache(folder: Path) -> None:
    """Make the folder, and mark it so that what it holds is not taken for labels or photos of a root around it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CACHE_TAG).exists():
        (folder / CACHE_TAG).write_text(CACHE_TAG_TEXT)
