"""Extraction of named members from zip archives, never outside the target folder."""

from __future__ import annotations

import math
import shutil
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from instseg.core.atomic import sync_and_rename
from instseg.core.disk_reasons import FAULTS_OF_THE_DISK
from instseg.core.errors import InstsegError

COPY_BYTES = 1 << 18
OPTION = "dataset.max_unpacked_gb"
MAX_GROWTH, ALWAYS_ALLOWED_BYTES = 100, 200_000_000
"""Images hardly shrink in a zip, text and plain masks to a fiftieth; a bomb becomes a thousand times its size."""


def check_unpacked_size(archive: Path, unpacked_bytes: int, max_unpacked_gb: float | None = None) -> None:
    """Check that an archive stays within the disk space that it may take.

    Args:
        archive: a zip or parquet file.
        unpacked_bytes: of what is in it together, declared or found.
        max_unpacked_gb: the limit; None: a hundred times the archive, or 0.2 GB.

    Raises:
        InstsegError: it would take more; the message names the option that raises the limit.
    """
    limit = unpacked_limit(archive, max_unpacked_gb)
    if unpacked_bytes > limit:
        raise InstsegError(
            f"{archive}: {archive.stat().st_size / 1e6:,.1f} MB would become {unpacked_bytes / 1e9:,.2f} GB, "
            f"and at most {limit / 1e9:,.2f} GB are unpacked; {OPTION}={math.ceil(unpacked_bytes / 1e8) / 10:g} "
            "raises the limit"
        )


def unpacked_limit(archive: Path, max_unpacked_gb: float | None) -> float:
    """Return the bytes that an archive may become.

    Args:
        archive: a zip or parquet file.
        max_unpacked_gb: see ``check_unpacked_size``.
    """
    usual = max(ALWAYS_ALLOWED_BYTES, MAX_GROWTH * archive.stat().st_size)
    return usual if max_unpacked_gb is None else max_unpacked_gb * 1e9


def extract_zip_members(archive: Path, member_names: Sequence[str], target_dir: Path) -> list[Path]:
    """Write the named members to ``target_dir / name``, each atomically.

    Args:
        archive: the zip file.
        member_names: names as in the archive.
        target_dir: the folder to write to.

    Returns:
        The paths, in the order of the names.

    Raises:
        InstsegError: a name would leave ``target_dir`` (absolute, ``..``, backslash, drive) or is not in the archive;
            the archive is not a zip, is damaged (every member's CRC is checked), or has names that the file system
            cannot hold.
    """
    for name in member_names:
        _check_stays_inside(archive, name)
    try:
        with zipfile.ZipFile(archive) as opened:
            missing = sorted(set(member_names) - set(opened.namelist()))
            if missing:
                raise InstsegError(f"{archive}: expected members {missing}, found {opened.namelist()[:10]}")
            return [_extract(opened, name, target_dir / name) for name in member_names]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, IndexError, struct.error) as error:
        raise InstsegError(f"{archive}: damaged or not a zip archive ({error}); delete it to fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a compression that Python does not know
        raise InstsegError(f"{archive}: cannot be unpacked ({error}); unpack it and give the folder") from error
    except OSError as error:
        if error.errno in FAULTS_OF_THE_DISK:
            raise
        reason = error.strerror or error
        raise InstsegError(f"{archive}: damaged, or has names that no folder can hold ({reason})") from error


def _check_stays_inside(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise InstsegError(f"{archive}: expected a member name that stays inside the target folder, got {name!r}")


def _extract(archive: zipfile.ZipFile, name: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")  # a fixed name: leftovers of a killed process are overwritten
    with archive.open(name) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
    sync_and_rename(part, path)
    return path
