"""Writes the columns that ``index.py`` describes and reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.categories import Categories
from instseg.data.index import BYTE_COLUMNS, DTYPES, ROW_SHAPES
from instseg.types import ImageSize, Polygon, Rle


class IndexWriter:
    """Collects rows, then writes the columns. Call ``add_image``, then ``add_instance`` for each of its instances."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in DTYPES}
        self.bytes: dict[str, list[bytes]] = {name: [] for name in BYTE_COLUMNS}
        for name in ("part_offsets", "point_offsets"):
            self.columns[name].append(0)

    def add_image(self, image_id: int, file_name: str, image_size: ImageSize, rotate: bool) -> None:
        self.columns["image_ids"].append(image_id)
        self.columns["image_sizes"].append(image_size)
        self.columns["rotate"].append(rotate)
        self.columns["instance_offsets"].append(len(self.columns["labels"]))
        self.bytes["file_names"].append(file_name.encode("utf-8", "surrogateescape"))

    def add_instance(
        self,
        annotation_id: int,
        label: int,
        box: NDArray[np.float64],
        area: float,
        iscrowd: bool,
        shape: list[Polygon] | Rle,
    ) -> None:
        self.columns["annotation_ids"].append(annotation_id)
        self.columns["labels"].append(label)
        self.columns["boxes"].append(box)
        self.columns["areas"].append(area)
        self.columns["iscrowd"].append(iscrowd)
        polygons = shape if isinstance(shape, list) else []
        for polygon in polygons:
            self.columns["points"].append(polygon)
            self.columns["point_offsets"].append(self.columns["point_offsets"][-1] + len(polygon))
        self.columns["part_offsets"].append(self.columns["part_offsets"][-1] + len(polygons))
        self.bytes["rle_counts"].append(b"" if isinstance(shape, list) else shape["counts"])

    def write(self, folder: Path, image_root: Path, categories: Categories) -> None:
        folder.mkdir(parents=True)
        self.columns["instance_offsets"].append(len(self.columns["labels"]))
        points = self.columns["points"]
        self.columns["points"] = list(np.concatenate(points)) if points else []
        for name, values in self.columns.items():
            array = np.array(values, dtype=DTYPES[name]).reshape(ROW_SHAPES.get(name, (-1,)))
            np.save(folder / f"{name}.npy", array)
        for name, chunks in self.bytes.items():
            offsets = np.cumsum([0, *(len(chunk) for chunk in chunks)], dtype=np.int64)
            np.save(folder / f"{name}_offsets.npy", offsets)
            np.save(folder / f"{name}.npy", np.frombuffer(b"".join(chunks), dtype=np.uint8))
        meta = {"image_root": str(image_root), "categories": list(categories.names)}
        (folder / "meta.json").write_text(json.dumps(meta))
