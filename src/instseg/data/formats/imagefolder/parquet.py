"""Images and their objects in parquet files; pyarrow reads them, which is installed by ``instseg[parquet]``."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Protocol, cast

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.text import is_file_name, usable_text
from instseg.data.fetch.archives import check_unpacked_size, unpacked_limit
from instseg.data.formats.imagefolder.names import names_of_schema
from instseg.data.formats.plain_json import as_object
from instseg.data.reading.findings import Findings
from instseg.data.reading.image_files import IMAGE_EXTENSIONS

IMAGE_COLUMNS = ("image", "img", "pixel_values", "photo")
START = b"PAR1"
SUFFIXES = {
    b"\xff\xd8": ".jpg",
    b"\x89P": ".png",
    b"II": ".tif",
    b"MM": ".tif",
    b"BM": ".bmp",
    b"GI": ".gif",
    b"RI": ".webp",
}
"""First bytes of an image -> its extension."""


class _Batch(Protocol):
    nbytes: int

    def to_pylist(self) -> list[dict[str, object]]: ...


class _Schema(Protocol):
    metadata: Mapping[bytes, bytes] | None


class _RowGroup(Protocol):
    total_byte_size: int


class _Metadata(Protocol):
    num_rows: int
    num_row_groups: int

    def row_group(self, i: int) -> _RowGroup: ...


class _ParquetFile(Protocol):
    schema_arrow: _Schema
    metadata: _Metadata

    def iter_batches(self, batch_size: int) -> Iterable[_Batch]: ...


def looks_like_images(path: Path) -> bool:
    """Tell from the end of a parquet file, its schema, whether it has a column with bytes of images."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == START
            file.seek(max(0, file.seek(0, 2) - 65_536))
            tail = file.read()
    except OSError:
        return False
    return is_parquet and b"bytes" in tail and any(name.encode() in tail for name in IMAGE_COLUMNS)


class ParquetImages:
    """The rows of one file; the images within are written to the cache and read from there.

    Attributes:
        folder: the folder of the images.
        names: of the categories, as the file declares them.
    """

    def __init__(self, path: Path, cache_dir: Path | None, max_unpacked_gb: float | None = None) -> None:
        """Open the file.

        Args:
            path: the file.
            cache_dir: where images are written; None: they cannot be read.
            max_unpacked_gb: limit of what the file becomes, see ``check_unpacked_size``.

        Raises:
            InstsegError: pyarrow is missing, there is no cache, or the file is damaged or becomes too large.
        """
        if cache_dir is None:
            raise InstsegError(f"{path}: images within parquet are written to the cache: set cache_dir")
        self._file, self._path, self._max_unpacked_gb = _open(path), path, max_unpacked_gb
        about = self._file.metadata
        declared = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        check_unpacked_size(path, declared, max_unpacked_gb)
        stat = path.stat()
        key = sha256(
            f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}".encode(errors="surrogateescape")
        ).hexdigest()
        self._cache = cache_dir.absolute() / "parquet_images"
        self.folder = self._cache / key[:16]
        self.names = names_of_schema((self._file.schema_arrow.metadata or {}).get(b"huggingface", b""))

    def read(self, findings: Findings) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Write each image, and yield its name in ``folder`` with its row.

        Args:
            findings: gets the rows that have no image.

        Raises:
            InstsegError: the file is damaged or becomes too large.
        """
        number = 0
        for number, row in enumerate(self._rows(), start=1):
            image = as_object(next((row[name] for name in IMAGE_COLUMNS if row.get(name)), None))
            data = image.get("bytes")
            if not isinstance(data, bytes) or not data:
                findings.add("label_invalid", f"{self._path.name}: row {number} has no image")
                continue
            yield self._written(number, usable_text(image.get("path")), data), row
        if number:
            mark_as_cache(self._cache)

    def _rows(self) -> Iterator[dict[str, object]]:
        """Yield one row after the other: a file may declare little, and repeat a large value in every row."""
        limit, num_bytes, number = unpacked_limit(self._path, self._max_unpacked_gb), 0, 0
        try:
            for number, batch in enumerate(self._file.iter_batches(batch_size=1), start=1):
                num_bytes += batch.nbytes
                if num_bytes > limit:
                    expected = num_bytes * self._file.metadata.num_rows // number
                    check_unpacked_size(self._path, expected, self._max_unpacked_gb)
                yield from batch.to_pylist()
        except (OSError, ValueError, TypeError) as error:
            raise InstsegError(f"{self._path}: row {number + 1}: cannot be read: {error}") from error

    def _written(self, number: int, given: str, data: bytes) -> str:
        name = PurePosixPath(given.replace("\\", "/")).name
        if PurePosixPath(name).suffix.lower() not in IMAGE_EXTENSIONS or not is_file_name(f"{number:06d}_{name}"):
            name = f"image{SUFFIXES.get(data[:2], '.jpg')}"
        path = self.folder / f"{number:06d}_{name}"
        if not path.is_file() or path.stat().st_size != len(data):
            with replacing(path, sync=True) as scratch:
                scratch.write_bytes(data)
        return path.name


def _open(path: Path) -> _ParquetFile:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InstsegError(f"{path}: parquet files need pyarrow: pip install 'instseg[parquet]'") from error
    try:
        return cast(_ParquetFile, parquet.ParquetFile(path))
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise InstsegError(f"{path}: not a parquet file: {error}") from error
