"""The image files of a source: a file, a folder, a glob pattern, or several of these. No image is opened."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.near_paths import where_looked

IMAGE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff"}
    | {".webp", ".gif", ".avif", ".jp2", ".ppm", ".pgm", ".heic", ".heif"}
)
"""Lower case. HEIC is listed so that a folder of phone images is answered with what to do, not with silence."""

Source = str | Path | Sequence[str | Path]
"""A file, a folder, a glob pattern, or a list of these."""


def find_images(source: Source) -> list[Path]:
    """Return all images of a source, each once: folders recursively, sorted as a person counts (2 before 10).

    A file named directly is taken whatever its extension; in folders and globs IMAGE_EXTENSIONS decide, in either case,
    and hidden files and folders are skipped. The entries of a list keep their order.

    Raises:
        InstsegError: an entry does not exist or holds no image.
    """
    entries = check_source(source)
    return list(dict.fromkeys(path for entry in entries for path in sorted(set(_entry(entry)), key=natural_key)))


def check_source(source: Source) -> list[Path]:
    """Return the entries of a source, each of which is there and holds an image; a folder is not walked to its end.

    Raises:
        InstsegError: an entry does not exist or holds no image.
    """
    given = [source] if isinstance(source, str | Path) else list(source)
    if not given:
        raise InstsegError("source: expected a file, folder, glob or a list of these, found an empty list")
    for name in map(str, given):
        if re.match(r"[a-z][a-z0-9+]+://", name, re.IGNORECASE):
            raise InstsegError(f"source={name}: expected a file or folder of this machine; download it first")
    entries = [Path(entry).expanduser() for entry in given]
    for entry in entries:
        if next(iter(_entry(entry)), None) is None:
            extensions = " ".join(sorted(IMAGE_EXTENSIONS))
            raise InstsegError(f"source {entry}: no image found; extensions are {extensions}")
    return entries


def _entry(entry: Path) -> Iterable[Path]:
    """Return the images of one entry, in no order."""
    if entry.is_file():
        return [entry]
    if entry.is_dir():
        return _walk(entry)
    if glob.has_magic(str(entry)):
        return _match(str(entry))
    raise InstsegError(f"source {entry}: no such file or folder{where_looked(entry)}")


def _match(pattern: str) -> Iterator[Path]:
    for path in map(Path, glob.iglob(pattern, recursive=True)):  # noqa: PTH207  (takes absolute patterns)
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix.lower() in IMAGE_EXTENSIONS:
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the images below a folder; links are followed, as datasets are often linked into place, no folder twice."""
    entered: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in entered else _not_hidden(folders)
        if real not in entered:
            yield from (Path(parent, name) for name in _not_hidden(names) if _has_image_extension(name))
        entered.add(real)


def _not_hidden(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _has_image_extension(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS  # noqa: PTH122  (100,000 Paths take a second)


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a key that sorts numbers in names by value: img2 before img10, folder by folder."""
    parts = re.split(r"(\d+)", str(path).casefold().replace(os.sep, "\0"))
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], str(path)
