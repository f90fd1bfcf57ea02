"""The writer of the columns of ``layout``: they go to the disk while they grow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.records import write_record
from instseg.core.types import ImageSize, Polygon, Rle, ValueRange
from instseg.data.index.layout import BYTE_COLUMNS, COLUMNS, META, Column, IndexMeta, LabelSource

ROWS_IN_MEMORY = 10_000
NOTHING_UNLABELLED: Mapping[str, tuple[int, ...]] = {}


class IndexWriter:
    """Context manager that writes an index: call ``add_image``, then ``add_instance`` for each of its instances.

    At most ``ROWS_IN_MEMORY`` images and instances wait in memory, whatever the size of the whole. Where the block
    ends with an error the columns are left unfinished.
    """

    def __init__(
        self,
        folder: Path,
        image_root: Path,
        categories: Categories,
        value_range: ValueRange | None = None,
        unlabelled: Mapping[str, tuple[int, ...]] = NOTHING_UNLABELLED,
    ) -> None:
        """Make the folder and its files.

        Args:
            folder: must not exist.
            image_root: the folder that file names start from.
            categories: of the labels.
            value_range: see ``read_image``.
            unlabelled: name of a source -> labels of the categories that it has not labelled completely.
        """
        folder.mkdir(parents=True)
        self.folder = folder
        self.image_root, self.categories, self.value_range = image_root, categories, value_range
        self.files = {name: _ColumnFile(folder / f"{name}.npy", column) for name, column in COLUMNS.items()}
        self.rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.unlabelled, self.sources = unlabelled, dict[str, int]()  # name of a source -> its place
        self.num_instances, self.num_parts, self.num_points = 0, 0, 0
        self.num_bytes = dict.fromkeys(BYTE_COLUMNS, 0)
        for name in ("part_offsets", "point_offsets", *(f"{name}_offsets" for name in BYTE_COLUMNS)):
            self.rows[name].append(0)

    def add_image(self, image_id: int, file_name: str, image_size: ImageSize, rotate: bool, source: str = "") -> None:
        """Add an image.

        Args:
            image_id: of the json.
            file_name: posix path from the image root.
            image_size: (height, width) px in the frame of the labels.
            rotate: whether that frame is turned by the EXIF orientation.
            source: name of the set of labels that it came with, where there are several.
        """
        self.rows["image_ids"].append(image_id)
        self.rows["image_sizes"].append(image_size)
        self.rows["rotate"].append(rotate)
        self.rows["sources"].append(self.sources.setdefault(source, len(self.sources)))
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
        has_mask: bool = True,
    ) -> None:
        """Add an instance of the image that was added last.

        Args:
            annotation_id: of the json.
            label: 1..num_categories.
            box: xyxy, px.
            area: px².
            iscrowd: whether it is a region of many instances.
            shape: polygon parts, or a compressed RLE of the image's size.
            has_mask: whether the shape is its mask, and not a box that teaches none.
        """
        self.num_instances += 1
        self.rows["annotation_ids"].append(annotation_id)
        self.rows["labels"].append(label)
        self.rows["boxes"].append(box)
        self.rows["areas"].append(area)
        self.rows["iscrowd"].append(iscrowd)
        self.rows["has_mask"].append(has_mask)
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
            num_rows = {name: file.num_rows for name, file in self.files.items()}
            meta = IndexMeta(
                image_root=str(self.image_root),
                categories=self.categories.names,
                num_rows=num_rows,
                value_range=self.value_range,
                sources=tuple(LabelSource(name=n, unlabelled=self.unlabelled.get(n, ())) for n in self.sources),
            )
            write_record(self.folder / META, meta)
        for file in self.files.values():
            file.close()


def _joined(name: str, rows: list[Any]) -> NDArray[np.generic]:
    if name in BYTE_COLUMNS:
        return np.frombuffer(b"".join(rows), dtype=np.uint8)
    return np.concatenate(rows) if name == "points" else np.array(rows, dtype=COLUMNS[name].dtype)


class _ColumnFile:
    """File .npy whose number of rows is known at the end."""

    def __init__(self, path: Path, column: Column) -> None:
        self.column, self.num_rows = column, 0
        self.file = path.open("wb")
        self.file.write(column.header(0))

    def append(self, rows: NDArray[np.generic]) -> None:
        self.num_rows += len(rows)
        self.file.write(np.ascontiguousarray(rows, dtype=self.column.dtype).data)

    def close(self) -> None:
        self.file.seek(0)
        self.file.write(self.column.header(self.num_rows))
        self.file.close()
