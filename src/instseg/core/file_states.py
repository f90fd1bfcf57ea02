"""The state of files: by size and times where these can be trusted, by content where not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instseg.core.records import Record, RecordError, read_record, write_record

NUM_THREADS = 16
FEW = 64
"""Files that are read sooner than threads have started for them."""
NO_FILE = "none"


class FileStates(Record, frozen=True, kw_only=True):
    """Files with their sizes in bytes, times of the last change and of the last change of their entry, and digests."""

    files: dict[str, str]  # path -> stamp and sha256 with a space between


def stamp_of(path: str | Path) -> str:
    """Return size and times (ns) of a file, another text after each write to it, whatever its times were set to."""
    try:
        stat = os.stat(path)  # noqa: PTH116  (Path costs 10 us a file)
    except (OSError, ValueError):  # such as a link to nothing
        return NO_FILE
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def digests_of(paths: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Return path -> stamp and digest of the content; only files whose stamp is another one than before are read.

    Args:
        paths: of files; of a folder, the names in it count.
        known: what this function has returned before.
    """
    stamps = {path: stamp_of(path) for path in paths}  # before the content: a change meanwhile shows the next time
    states = {path: known[path] for path, stamp in stamps.items() if _is_of(known.get(path), stamp)}
    new = [path for path in stamps if path not in states]
    for path, digest in _digests(new) if len(new) <= FEW else _digests_in_threads(new):
        states[path] = f"{stamps[path]} {digest}"
    return {path: states[path] for path in stamps}


def _is_of(state: str | None, stamp: str) -> bool:
    """Tell whether a known state has this stamp; without a file there is nothing to know."""
    return state is not None and stamp != NO_FILE and state.startswith(f"{stamp} ")


def _digests_in_threads(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    parts = [paths[start :: 4 * NUM_THREADS] for start in range(4 * NUM_THREADS)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for digests in pool.map(_digests, parts):
            yield from digests


def _digests(paths: Iterable[str]) -> list[tuple[str, str]]:
    return [(path, _digest(path)) for path in paths]


def _digest(path: str) -> str:
    try:
        if os.path.isdir(path):  # noqa: PTH112
            return hashlib.sha256("\0".join(sorted(os.listdir(path))).encode(errors="surrogatepass")).hexdigest()  # noqa: PTH208
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return NO_FILE


def seal(folder: Path, seal_file: Path) -> None:
    """Write the states of all files in a folder, by which a change of any is found later.

    Args:
        folder: with the files.
        seal_file: where they are written.
    """
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    states = digests_of(paths, {})
    write_record(seal_file, FileStates(files={Path(p).relative_to(folder).as_posix(): states[p] for p in paths}))


def check_seal(folder: Path, seal_file: Path, remedy: str) -> None:
    """Check that every file is as it was when the folder was sealed; those with another stamp are read.

    Args:
        folder: with the files.
        seal_file: of the folder.
        remedy: what follows, as the end of the message.

    Raises:
        RecordError: a file is missing or has another content.
    """
    files = read_record(seal_file, FileStates, remedy).files
    states = digests_of([f"{folder}/{name}" for name in files], {f"{folder}/{n}": state for n, state in files.items()})
    for name, state in files.items():
        size, digest = state.partition(" ")[0], state.rpartition(" ")[2]
        found = states[f"{folder}/{name}"]
        if found.rpartition(" ")[2] != digest:
            what = _found(found, size)
            raise RecordError(f"{folder / name}: expected the {size} bytes that were written, found {what}; {remedy}")


def _found(state: str, size: str) -> str:
    found = state.partition(" ")[0]
    return "no file" if found == NO_FILE else f"{found}" if found != size else "others"
