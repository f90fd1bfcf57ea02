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
from instseg.data.formats.imagefolder.names import names_of_schema
from instseg.data.formats.plain_json import as_object
from instseg.data.reading.findings import Findings
from instseg.data.reading.image_files import IMAGE_EXTENSIONS

ROWS_AT_A_TIME = 64
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
    def to_pylist(self) -> list[dict[str, object]]: ...


class _Schema(Protocol):
    metadata: Mapping[bytes, bytes] | None


class _ParquetFile(Protocol):
    schema_arrow: _Schema

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

    def __init__(self, path: Path, cache_dir: Path | None) -> None:
        """Open the file.

        Args:
            path: the file.
            cache_dir: where images are written; None: they cannot be read.

        Raises:
            InstsegError: pyarrow is missing, there is no cache, or the file is damaged.
        """
        if cache_dir is None:
            raise InstsegError(f"{path}: images within parquet are written to the cache: set cache_dir")
        self._file, self._path = _open(path), path
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
        """
        number = 0
        try:
            for batch in self._file.iter_batches(batch_size=ROWS_AT_A_TIME):
                for row in batch.to_pylist():
                    number += 1
                    image = as_object(next((row[name] for name in IMAGE_COLUMNS if row.get(name)), None))
                    data = image.get("bytes")
                    if not isinstance(data, bytes) or not data:
                        findings.add("label_invalid", f"{self._path.name}: row {number} has no image")
                        continue
                    yield self._written(number, usable_text(image.get("path")), data), row
        except (OSError, ValueError, TypeError) as error:
            raise InstsegError(f"{self._path}: row {number}: cannot be read: {error}") from error
        if number:
            mark_as_cache(self._cache)

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
