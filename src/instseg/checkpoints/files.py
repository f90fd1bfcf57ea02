"""Checkpoint files: atomic, verified when they are read, without pickled code.

A checkpoint is the zip archive that ``torch.save`` writes. It holds a CRC-32 and the size of each of its records, which
torch writes and does not check: they are compared here. A copy of the file can be verified as well, because it holds
its own checksums.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from instseg import __version__
from instseg.checkpoints.description import ENTRY, FORMAT, TRAINING
from instseg.core.atomic import DISK_FULL, keep_as, replacing
from instseg.core.errors import InstsegError
from instseg.core.file_kinds import foreign_kind, is_pickle
from instseg.core.records import convert_plain
from instseg.core.torch_files import ForeignFileError, TorchFileError, load_torch_file
from instseg.runs.folders import LAST, PREVIOUS

FULL = (*DISK_FULL, errno.EFBIG)
CHUNK_BYTES = 1 << 22
SPARE_BYTES = 1 << 24  # for what is written beside a checkpoint: curves, pictures, the log
NOT_ZIP = (zipfile.BadZipFile, struct.error, OSError, NotImplementedError, ValueError)
"""Errors of zipfile for a damaged table of contents, down to names in it that are not UTF-8."""
TENSORS = "/data/"  # in the names of records that hold the bytes of a tensor
LOCAL_HEADER = struct.Struct("<26x2H")  # of a zip record: at its end the lengths of name and extra field


RESUME_ONLY = ("callbacks", "loops", "optimizer_states", "lr_schedulers", "averaging_state", "current_model_state")
"""Entries that a training resumes from, twice the size of the weights with AdamW, and nothing else reads."""


class DamagedCheckpointError(InstsegError):
    """A checkpoint file whose bytes are not those that were written."""


class DiskFullError(InstsegError):
    """A disk without room for a checkpoint; the checkpoints before it are untouched."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Atomic reading and writing of Lightning's checkpoints: a crash or a full disk never harms the one before.

    A checkpoint that a training cannot resume from, such as ``best.ckpt``, is written without the state of optimizer,
    schedule, loops and callbacks: it holds what predicting needs. ``LastCheckpoint`` writes those to resume from.

    ``last.ckpt`` is kept as ``previous.ckpt`` when the next one is written, if it is known to be good: it was read or
    written here.
    """

    def __init__(self) -> None:
        self._good: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, object], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint under another name, flush it to the disk, then rename it.

        Args:
            checkpoint: as Lightning gives it.
            path: the file.
            storage_options: unused.

        Raises:
            DiskFullError: there is no room for it.
        """
        path = Path(path).absolute()
        if not _can_resume(checkpoint):
            checkpoint = {key: value for key, value in checkpoint.items() if key not in RESUME_ONLY}
        with _explaining_full_disk(path):
            _check_room(path, checkpoint)
            with replacing(path, sync=True) as scratch:
                with scratch.open("wb") as file:
                    torch.save(checkpoint, file)
                    file.flush()
                    os.fsync(file.fileno())  # takes long: not while last.ckpt and previous.ckpt are one file
                if path.name == LAST and path in self._good:
                    keep_as(path, path.with_name(PREVIOUS))
        self._good.add(path)

    def load_checkpoint(
        self, path: str | Path, map_location: object = "cpu", weights_only: bool | None = True
    ) -> dict[str, object]:
        """Read and verify a checkpoint, always on the CPU and without pickled code.

        Args:
            path: the file.
            map_location: unused.
            weights_only: unused.

        Raises:
            InstsegError: as ``load_checkpoint`` raises it.
        """
        checkpoint = load_checkpoint(Path(path))
        self._good.add(Path(path).absolute())
        return checkpoint


def _can_resume(checkpoint: Mapping[str, object]) -> bool:
    entry = checkpoint.get(ENTRY)
    return isinstance(entry, Mapping) and TRAINING in entry


def _check_room(path: Path, checkpoint: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    storages = {storage.data_ptr(): storage.nbytes() for storage in _storages(checkpoint)}
    needed, free = sum(storages.values()) + SPARE_BYTES, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


def _storages(value: object) -> Iterator[torch.UntypedStorage]:
    if isinstance(value, Tensor):
        yield value.untyped_storage()
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _storages(item)


@contextlib.contextmanager
def _explaining_full_disk(path: Path) -> Iterator[None]:
    """Raise DiskFullError for the error of a full disk, which torch may report as one of its own."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = next((e for e in (error, error.__cause__, error.__context__) if isinstance(e, OSError)), None)
        if cause is None or cause.errno not in FULL:
            raise
        raise DiskFullError(
            f"{path} cannot be written, the disk is full: {cause.strerror}. The checkpoints before it are "
            f"untouched: make room, then type resume={path.parents[1]}"
        ) from error


def load_checkpoint(path: Path, mmap: bool = False, verify_tensors: bool = True) -> dict[str, object]:
    """Read and verify a checkpoint of this package, on the CPU.

    Args:
        path: the file.
        mmap: leave tensors on the disk until they are used.
        verify_tensors: read their bytes to verify them; not worth it for who uses none.

    Raises:
        DamagedCheckpointError: a byte has changed, or the file is cut off.
        InstsegError: there is no such file, another program wrote it, or a later version of this one.
    """
    if not path.is_file():
        raise InstsegError(f"checkpoint: no such file: {path}")
    kind = "a pickle, which may hold code and is never run" if is_pickle(path) else foreign_kind(path)
    if kind is not None:
        raise InstsegError(f"{path}: expected a checkpoint of instseg, found {kind}")
    verify(path, verify_tensors)
    try:
        checkpoint = load_torch_file(path, mmap)
    except ForeignFileError as error:
        raise InstsegError(f"{path}: {error}") from error
    except TorchFileError as error:
        raise DamagedCheckpointError(f"{path} ({path.stat().st_size} bytes) cannot be read: {error}") from error
    if not isinstance(checkpoint, dict) or ENTRY not in checkpoint:
        raise InstsegError(
            f"{path} is no checkpoint of instseg; plain weights are used with model.weights={path} in training"
        )
    _check_format(path, checkpoint[ENTRY])
    return checkpoint


class _Header(msgspec.Struct):
    """Part of the entry ``instseg`` that every version writes and understands."""

    format: int
    version: str = "of an unknown version"


def _check_format(path: Path, entry: object) -> None:
    header = convert_plain(entry, _Header, f"{path}, entry {ENTRY}", "use another checkpoint")
    if header.format > FORMAT:
        raise InstsegError(
            f"{path} was written by instseg {header.version} in format {header.format}; this is {__version__}, "
            f"which knows formats up to {FORMAT}: please update"
        )


def verify(path: Path, tensors: bool = True) -> None:
    """Compare the records of a checkpoint file with their checksums and sizes.

    Args:
        path: the file.
        tensors: compare those of tensors too, which are nearly all of the file.

    Raises:
        DamagedCheckpointError: a byte has changed, or the file is cut off; with the record, expected and found.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for record in archive.infolist():
                if not tensors and TENSORS in record.filename:
                    continue
                found = _crc(file, record)
                if found != record.CRC:
                    raise DamagedCheckpointError(
                        f"{path} is damaged: record {record.filename}: expected checksum {record.CRC:08x}, "
                        f"got {found:08x}"
                    )
    except NOT_ZIP as error:
        raise DamagedCheckpointError(
            f"{path} is damaged: expected an archive with a table of contents at its end, got {size} bytes that end "
            f"without one; the file may be cut off"
        ) from error


def _crc(file: BinaryIO, record: zipfile.ZipInfo) -> int:
    """Return the CRC-32 of a record's bytes as they lie in the file: torch compresses nothing."""
    file.seek(record.header_offset)
    name_length, extra_length = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    file.seek(name_length + extra_length, 1)
    crc, left = 0, record.file_size
    while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
        crc, left = zlib.crc32(chunk, crc), left - len(chunk)
    return crc
