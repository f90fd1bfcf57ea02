"""Files of named numpy columns that this package wrote: every column that is read is checked, and nothing unpickled."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from instseg.core.atomic import replacing
from instseg.core.records import RecordError

DAMAGED = (
    AttributeError, EOFError, KeyError, MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError,
    SyntaxError, TypeError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Errors of numpy and zipfile for damaged bytes."""
INTEGERS, FLOATS, FLAGS, TEXTS = "whole numbers", "finite numbers", "truth values", "texts"
KINDS = {INTEGERS: "iu", FLOATS: "f", FLAGS: "b", TEXTS: "U"}


Column = NDArray[np.generic]
Row = TypeVar("Row", bound=np.generic)
MAX_ROWS = 2**31
MAX_INTEGER = 2**63 - 1


class Columns:
    """The columns of one file.

    Args:
        arrays: name -> column.
        path: the file, for messages.
        remedy: what the user can do where the file is of no use, as the end of a message.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], path: Path, remedy: str) -> None:
        self._arrays, self.path, self._remedy = arrays, path, remedy

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def integers(
        self, name: str, length: int | None = None, lowest: int = 0, highest: int = MAX_INTEGER
    ) -> NDArray[np.int64]:
        """Return a column of whole numbers.

        Args:
            name: of the column.
            length: number of its rows; None: any.
            lowest: the smallest number that can be.
            highest: the largest number that can be.

        Returns:
            (length,) int64.

        Raises:
            RecordError: the column is missing, of another type or length, or holds another number.
        """
        column = self._column(name, INTEGERS, length).astype(np.int64)
        self._check_range(name, column, lowest, highest)
        return column

    def floats(self, name: str, length: int) -> NDArray[np.float64]:
        """Return a column of finite numbers.

        Args:
            name: of the column.
            length: number of its rows.

        Returns:
            (length,) float64.

        Raises:
            RecordError: the column is missing, of another type or length, or holds NaN or infinity.
        """
        column = self._column(name, FLOATS, length).astype(np.float64)
        if not np.isfinite(column).all():
            raise self.error(name, FLOATS, "NaN or infinity")
        return column

    def flags(self, name: str, length: int) -> NDArray[np.bool_]:
        """Return a column of truth values.

        Args:
            name: of the column.
            length: number of its rows.

        Returns:
            (length,) bool.

        Raises:
            RecordError: the column is missing, or of another type or length.
        """
        return self._column(name, FLAGS, length).astype(np.bool_)

    def texts(self, name: str, length: int | None = None) -> list[str]:
        """Return a column of texts.

        Args:
            name: of the column.
            length: number of its rows; None: any.

        Returns:
            The texts.

        Raises:
            RecordError: the column is missing, or of another type or length.
        """
        return [str(text) for text in self._column(name, TEXTS, length)]

    def sizes(self, name: str, length: int) -> NDArray[np.int64]:
        """Return a column of numbers of rows, such as the number of detections of each image.

        Args:
            name: of the column.
            length: number of its rows.

        Returns:
            (length,) int64, from 0; their sum fits into int64.

        Raises:
            RecordError: the column is missing, of another type or length, or holds a negative number.
        """
        return self.integers(name, length, highest=MAX_ROWS)

    def check_format(self, known: int) -> None:
        """Require a format of the file, in its column ``format``, that can be read.

        Args:
            known: the only format until now.

        Raises:
            RecordError: it is another, or there is none.
        """
        found = self._arrays.get("format", np.zeros(()))
        if found.shape != () or found.dtype.kind not in KINDS[INTEGERS]:
            raise self.error("format", "a whole number", f"{found.dtype} of shape {found.shape}")
        if found != known:
            raise self.error("format", str(known), f"{found}, so a later version may have written it: update instseg")

    def error(self, name: str, expected: str, found: str) -> RecordError:
        """Return the error for a column.

        Args:
            name: of the column.
            expected: what should be there.
            found: what is there.
        """
        return RecordError(f"{self.path}: column {name}: expected {expected}, found {found}; {self._remedy}")

    def _column(self, name: str, kind: str, length: int | None) -> NDArray[np.generic]:
        expected = kind if length is None else f"{length} {kind}"
        if name not in self._arrays:
            raise self.error(name, expected, "no such column")
        column = self._arrays[name]
        has_kind = column.dtype.kind in KINDS[kind] or not column.size  # older files have no type where they are empty
        if not has_kind or column.ndim != 1 or length not in (None, len(column)):
            raise self.error(name, expected, f"{column.dtype} of shape {column.shape}")
        return column

    def _check_range(self, name: str, column: NDArray[np.int64], lowest: int, highest: int) -> None:
        low, high = int(column.min(initial=highest)), int(column.max(initial=lowest))
        if low < lowest or high > highest:
            raise self.error(name, f"numbers from {lowest} to {highest}", f"{low} to {high}")


def read_columns(path: Path, known_format: int, remedy: str) -> Columns:
    """Read all columns of a file.

    Args:
        path: the file.
        known_format: the number that its column ``format`` must hold.
        remedy: what the user can do where the file is of no use, as the end of a message.

    Returns:
        The columns, not yet checked.

    Raises:
        RecordError: the file is damaged or of another format.
    """
    columns = Columns(_read_arrays(path, remedy), path, remedy)
    columns.check_format(known_format)
    return columns


def _read_arrays(path: Path, remedy: str) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordError(
            f"{path} ({path.stat().st_size} bytes): expected a file of columns, found a damaged one, which may be cut "
            f"off: {reason}; {remedy}"
        ) from error


def write_columns(path: Path, columns: Mapping[str, Column]) -> None:
    """Write compressed columns, atomically.

    Args:
        path: the file.
        columns: name -> column; ``format`` is among them.
    """
    with replacing(path, sync=True) as scratch, scratch.open("wb") as file:
        save: Callable[..., None] = np.savez_compressed  # whose own parameters are not among the columns' names
        save(file, **columns)


def sizes_of(of_images: Sequence[Sequence[object] | Column]) -> NDArray[np.int64]:
    """Return the number of rows of each image, (I,)."""
    return np.array([len(rows) for rows in of_images], dtype=np.int64)


def joined(of_images: Sequence[Column], kind: type[Row]) -> NDArray[Row]:
    """Return the rows of all images as one column.

    Args:
        of_images: rows of each.
        kind: type of the column.
    """
    return np.concatenate([np.zeros(0, kind), *of_images]).astype(kind)


def split_rows(column: NDArray[Row], sizes: NDArray[np.int64]) -> Sequence[NDArray[Row]]:
    """Split a column into the rows of each image.

    Args:
        column: (sum of sizes,) rows of all images.
        sizes: (I,) number of rows of each image.

    Returns:
        One part for each image.
    """
    return np.split(column, np.cumsum(sizes)[:-1]) if len(sizes) else []
