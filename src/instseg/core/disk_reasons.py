"""The reasons for which a folder cannot be written to, in words that tell what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from instseg.core.atomic import DISK_FULL

NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)
FAULTS_OF_THE_DISK = (*DISK_FULL, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""Error numbers of a write that no other content and no other file would have spared."""


def reason_of(error: OSError, folder: Path) -> str:
    """Return what is wrong with a folder and what helps, as the end of a message that names it.

    Args:
        error: of a write below the folder.
        folder: an absolute path.
    """
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return f"the disk is full{where}. Free some space, or choose another folder; what is whole is kept"
    if error.errno in NO_FOLDER and (in_the_way := _file_in_the_way(Path(str(error.filename)), folder)):
        return f"expected a folder, found the file {in_the_way}. Remove it, or choose another folder"
    return f"cannot be written to: {words_of(error)}{where}. Choose another folder"


def words_of(error: OSError) -> str:
    """Return what the system says, without the number and the file."""
    return error.strerror or str(error) or type(error).__name__


def _file_in_the_way(path: Path, folder: Path) -> Path | None:
    above = (place for place in (path, *path.parents) if place.is_relative_to(folder))
    return next((place for place in above if place.exists() and not place.is_dir()), None)
