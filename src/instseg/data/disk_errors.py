"""Errors of the disk while a dataset is fetched, unpacked or indexed, as one line that names the folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instseg.core.atomic import DISK_FULL
from instseg.core.disk_reasons import reason_of, words_of
from instseg.core.errors import InstsegError

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
        return f"cache_dir={cache}: {reason_of(error, cache)}"
    if error.errno in NOT_ALLOWED:
        return f"dataset.root={root}: not allowed to read or write {file}"
    return f"dataset.root={root}: cannot be read: {words_of(error)}{f': {file}' if file else ''}"
