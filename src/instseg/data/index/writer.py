"""Writes the columns that ``index.py`` describes and reads, to the disk while they grow."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.index.columns import BYTE_COLUMNS, DTYPES, ROW_SHAPES

ROWS_IN_MEMORY = 10_000


class IndexWriter:
    """Call ``add_image``, then ``add_instance`` for each of its instances; a context manager.

    At most ``ROWS_IN_MEMORY`` images and instances wait in memory, whatever the size of the whole. Where the block
    ends with an error the columns are left unfinished.
    """

    def __init__(self, folder: Path, image_root: Path, categories: Categories) -> None:
        """``folder`` must not exist."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.meta = {"image_root": str(image_root), "categories": list(categories.names)}
        dtypes = DTYPES | dict.fromkeys(BYTE_COLUMNS, np.uint8) | {f"{name}_offsets": np.int64 for name in BYTE_COLUMNS}
        self.files = {name: _ColumnFile(folder / f"{name}.npy", dtype) for name, dtype in dtypes.items()}
        self.rows: dict[str, list[Any]] = {name: [] for name in dtypes}
        self.num_instances, self.num_parts, self.num_points = 0, 0, 0
        self.num_bytes = dict.fromkeys(BYTE_COLUMNS, 0)
        for name in ("part_offsets", "point_offsets", *(f"{name}_offsets" for name in BYTE_COLUMNS)):
            self.rows[name].append(0)

    def add_image(self, image_id: int, file_name: str, image_size: ImageSize, rotate: bool) -> None:
        self.rows["image_ids"].append(image_id)
        self.rows["image_sizes"].append(image_size)
        self.rows["rotate"].append(rotate)
        self.rows["instance_offsets"].append(self.num_instances)
        self._add_bytes("file_names", file_name.encode("utf-8", "surrogateescape"))
        self._write_many()

    def add_instance(
        self,
        annotation_id: int,
        label: int,
        box: tuple[float, float, float, float],
        area: float,
        iscrowd: bool,
        shape: list[Polygon] | Rle,
    ) -> None:
        """``box`` as xyxy, ``area`` in px²; ``shape`` as polygon parts or compressed RLE."""
        self.num_instances += 1
        self.rows["annotation_ids"].append(annotation_id)
        self.rows["labels"].append(label)
        self.rows["boxes"].append(box)
        self.rows["areas"].append(area)
        self.rows["iscrowd"].append(iscrowd)
        for polygon in shape if isinstance(shape, list) else ():
            self.num_parts += 1
            self.num_points += len(polygon)
            self.rows["points"].append(polygon)
            self.rows["point_offsets"].append(self.num_points)
        self.rows["part_offsets"].append(self.num_parts)
        self._add_bytes("rle_counts", b"" if isinstance(shape, list) else shape["counts"])
        self._write_many()

    def _add_bytes(self, name: str, value: bytes) -> None:
        self.num_bytes[name] += len(value)
        self.rows[name].append(value)
        self.rows[f"{name}_offsets"].append(self.num_bytes[name])

    def _write_many(self) -> None:
        if len(self.rows["image_ids"]) + len(self.rows["labels"]) >= ROWS_IN_MEMORY:
            self._write_rows()

    def _write_rows(self) -> None:
        for name, rows in self.rows.items():
            if rows:
                self.files[name].append(_joined(name, rows))
                rows.clear()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.rows["instance_offsets"].append(self.num_instances)
            self._write_rows()
            (self.folder / "meta.json").write_text(json.dumps(self.meta))
        for file in self.files.values():
            file.close()


def _joined(name: str, rows: list[Any]) -> NDArray[Any]:
    if name in BYTE_COLUMNS:
        return np.frombuffer(b"".join(rows), dtype=np.uint8)
    return np.concatenate(rows) if name == "points" else np.array(rows, dtype=DTYPES.get(name, np.int64))


class _ColumnFile:
    """A .npy file whose number of rows is known at the end: numpy leaves room for it in the header."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self.dtype, self.num_rows = np.dtype(dtype), 0
        self.row_shape = ROW_SHAPES.get(path.stem, (-1,))[1:]
        self.file = path.open("wb")
        self._write_header()

    def append(self, rows: NDArray[Any]) -> None:
        self.num_rows += len(rows)
        self.file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)

    def close(self) -> None:
        self.file.seek(0)
        self._write_header()
        self.file.close()

    def _write_header(self) -> None:
        shape = (self.num_rows, *self.row_shape)
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)
