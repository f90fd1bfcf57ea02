"""Errors of the disk while a dataset is fetched, unpacked or indexed, as one line that names the folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instseg.core.atomic import DISK_FULL
from instseg.core.errors import InstsegError

NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)
NOT_ALLOWED = (errno.EACCES, errno.EPERM)


@contextmanager
def told_in_a_line(root: str, cache_dir: Path) -> Iterator[None]:
    """Turn errors of the disk into errors that name the option and the file.

    Args:
        root: of the dataset, as the user gave it.
        cache_dir: the folder that is written to.

    Raises:
        InstsegError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InstsegError(_line(error, root, cache_dir.absolute())) from error


def _line(error: OSError, root: str, cache: Path) -> str:
    file = error.filename
    is_full = error.errno in (*DISK_FULL, errno.EFBIG)
    if is_full or error.errno == errno.EROFS or (isinstance(file, str) and Path(file).is_relative_to(cache)):
        return f"cache_dir={cache}: {_reason(error, cache)}"
    if error.errno in NOT_ALLOWED:
        return f"dataset.root={root}: not allowed to read or write {file}"
    return f"dataset.root={root}: cannot be read: {_words(error)}{f': {file}' if file else ''}"


def _reason(error: OSError, cache: Path) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return f"the disk is full{where}. Free some space, or choose another folder; what is whole is kept"
    if error.errno in NO_FOLDER and (in_the_way := _file_in_the_way(Path(str(error.filename)), cache)):
        return f"expected a folder, found the file {in_the_way}. Remove it, or choose another folder"
    return f"cannot be written to: {_words(error)}{where}. Choose another folder"


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _file_in_the_way(path: Path, cache: Path) -> Path | None:
    above = (place for place in (path, *path.parents) if place.is_relative_to(cache))
    return next((place for place in above if place.exists() and not place.is_dir()), None)
