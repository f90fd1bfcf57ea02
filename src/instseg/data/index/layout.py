"""The files of an index: which columns there are, how each is stored, and whether a folder holds them whole."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from instseg.core.records import Record, RecordError, read_record
from instseg.core.types import ValueRange

META = "meta.json"
REMEDY = "the dataset is indexed again"
INDEX_VERSION = 11
"""Raise it whenever the same labels give another index."""


@lru_cache(256)  # many columns are alike
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Column:
    """The form of one column: its numbers and the shape of one row."""

    dtype: DTypeLike
    row_shape: tuple[int, ...] = ()

    def header(self, num_rows: int) -> bytes:
        """Return the start of its .npy file; numpy leaves room in it for the number of rows to grow."""
        return _header(np.dtype(self.dtype).str, (num_rows, *self.row_shape))

    def num_bytes(self, num_rows: int) -> int:
        """Return the size of so many rows without the header."""
        return num_rows * int(np.prod(self.row_shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


BYTE_COLUMNS = ("file_names", "rle_counts")
COLUMNS = {
    "image_ids": Column(np.int64),
    "image_sizes": Column(np.int32, (2,)),
    "rotate": Column(np.bool_),
    "sources": Column(np.int32),
    "instance_offsets": Column(np.int64),
    "annotation_ids": Column(np.int64),
    "labels": Column(np.int32),
    "iscrowd": Column(np.bool_),
    "has_mask": Column(np.bool_),
    "areas": Column(np.float64),
    "boxes": Column(np.float64, (4,)),
    "part_offsets": Column(np.int64),
    "point_offsets": Column(np.int64),
    "points": Column(np.float64, (2,)),
    "file_names": Column(np.uint8),
    "file_names_offsets": Column(np.int64),
    "rle_counts": Column(np.uint8),
    "rle_counts_offsets": Column(np.int64),
}
PER_IMAGE = ("image_sizes", "rotate", "sources")
PER_INSTANCE = ("annotation_ids", "iscrowd", "has_mask", "areas", "boxes")
OFFSETS = {
    "instance_offsets": ("image_ids", "labels"),
    "file_names_offsets": ("image_ids", "file_names"),
    "rle_counts_offsets": ("labels", "rle_counts"),
    "part_offsets": ("labels", "point_offsets"),
    "point_offsets": (None, "points"),
}
"""Column of offsets -> the column it has a row for each of, and one more, and the column that it divides."""


class LabelSource(Record, frozen=True, kw_only=True):
    """Set of labels, one of several, that some images came with."""

    name: str  # empty where there are no several
    unlabelled: tuple[int, ...] = ()  # labels of the categories that it has not labelled, or not completely


class IndexMeta(Record, frozen=True, kw_only=True):
    """The content of ``meta.json``: everything of an index that is no column."""

    image_root: str
    categories: tuple[str, ...]
    num_rows: dict[str, int]
    value_range: ValueRange | None = None
    sources: tuple[LabelSource, ...] = ()


def read_meta(folder: Path) -> IndexMeta:
    """Read the description of an index.

    Raises:
        RecordError: it is missing or damaged.
    """
    return read_record(folder / META, IndexMeta, REMEDY)


def open_column(folder: Path, name: str) -> NDArray[np.generic]:
    """Map one column into memory, read-only.

    As a plain array over the map: indexing ``np.memmap`` itself costs a Python call each time, and ``np.load`` takes a
    millisecond to parse a header of which all but the number of rows is known.

    Args:
        folder: of the index, which ``check_index`` has found whole.
        name: of the column.
    """
    column = COLUMNS[name]
    with (folder / f"{name}.npy").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = len(column.header(0))
    return np.frombuffer(mapped, column.dtype, offset=start).reshape(-1, *column.row_shape)


def check_index(folder: Path) -> None:
    """Check that every column is whole and that all of them belong together, reading offsets and labels alone.

    Raises:
        RecordError: a file is missing, cut short, or holds what no index can.
    """
    meta = read_meta(folder)
    _check_same(folder / META, "num_rows", sorted(COLUMNS), sorted(meta.num_rows))
    for name, column in COLUMNS.items():
        _check_file(folder / f"{name}.npy", column, meta.num_rows[name])
    for names, other in ((PER_IMAGE, "image_ids"), (PER_INSTANCE, "labels")):
        for name in names:
            _check_same(folder / META, f"num_rows.{name}", meta.num_rows[other], meta.num_rows[name])
    for name, (rows, divided) in OFFSETS.items():
        _check_offsets(folder, name, meta.num_rows, rows, divided)
    _check_numbers(folder / "labels.npy", 1, len(meta.categories))
    _check_numbers(folder / "sources.npy", 0, len(meta.sources) - 1)
    for source in meta.sources:
        known = [label for label in source.unlabelled if 1 <= label <= len(meta.categories)]
        _check_same(folder / META, "sources.unlabelled", known, [*source.unlabelled])


def _check_same(path: Path, field: str, expected: object, found: object) -> None:
    if expected != found:
        raise RecordError(f"{path}: field {field}: expected {expected}, found {found}; {REMEDY}")


def _check_file(path: Path, column: Column, num_rows: int) -> None:
    _check_same(path.parent / META, f"num_rows.{path.stem}", max(0, num_rows), num_rows)
    header = column.header(num_rows)
    expected = len(header) + column.num_bytes(num_rows)
    try:
        with path.open("rb") as file:
            start, found = file.read(len(header)), path.stat().st_size
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}; {REMEDY}") from error
    if found != expected or start != header:
        raise RecordError(f"{path}: expected a column of {expected} bytes, found another of {found}; {REMEDY}")


def _check_offsets(folder: Path, name: str, num_rows: dict[str, int], rows: str | None, divided: str) -> None:
    if rows is not None:
        _check_same(folder / META, f"num_rows.{name}", num_rows[rows] + 1, num_rows[name])
    # Points are divided by the parts, and point_offsets has one row more than there are parts.
    end = num_rows[divided] - (divided == "point_offsets")
    offsets = open_column(folder, name).astype(np.int64, copy=False)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != end or (offsets[1:] < offsets[:-1]).any():
        raise RecordError(f"{folder / name}.npy: expected numbers that rise from 0 to {end}, found others; {REMEDY}")


def _check_numbers(path: Path, lowest: int, highest: int) -> None:
    numbers = open_column(path.parent, path.stem).astype(np.int64, copy=False)
    if len(numbers) and not lowest <= numbers.min() <= numbers.max() <= highest:
        raise RecordError(f"{path}: expected {lowest} to {highest}, found others; {REMEDY}")
