"""Search for files with the same bytes that reads as little of them as possible."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instseg.data.reading.threads import NUM_THREADS
from instseg.data.splits.near_duplicates import file_digests

TAIL_BYTES = 4096
FILES_AT_ONCE = 64  # of a thread: handing over single ones costs more than reading them from a local disk


def identical_files(paths: Sequence[Path]) -> list[list[int]]:
    """Group files with the same bytes.

    Most files have a size of their own, and the last bytes tell the rest apart: only true copies are read whole.

    Returns:
        Groups of two and more positions, ascending; files that cannot be read are in none.
    """
    groups = _divide([list(range(len(paths)))], lambda some: _in_threads(_size, [paths[i] for i in some]))
    groups = _divide(groups, lambda some: _in_threads(_tail, [paths[i] for i in some]))
    return _divide(groups, lambda some: file_digests([paths[i] for i in some]))


def _divide(groups: list[list[int]], keys_of: Callable[[list[int]], Sequence[Hashable]]) -> list[list[int]]:
    """Split each group by a key; files that are alone, or whose key is None, are left out."""
    members = [i for group in groups for i in group]
    number = [n for n, group in enumerate(groups) for _ in group]
    divided: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for i, n, key in zip(members, number, keys_of(members), strict=True):
        if key is not None:
            divided[n, key].append(i)
    return [group for group in divided.values() if len(group) > 1]


def _in_threads(function: Callable[[Path], int | None], paths: Sequence[Path]) -> list[int | None]:
    chunks = [paths[start : start + FILES_AT_ONCE] for start in range(0, len(paths), FILES_AT_ONCE)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return [key for keys in pool.map(lambda chunk: [function(path) for path in chunk], chunks) for key in keys]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _tail(path: Path) -> int | None:
    """Compute a checksum of the last bytes; the first are alike in all images of a camera."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return zlib.crc32(file.read())
    except OSError:
        return None
