"""The index: one split's images and instances as flat, memory-mapped columns.

A table of Python objects costs every loader worker its own copy as soon as reference counts touch the pages;
flat arrays are mapped once and shared by all workers and ranks. Columns, I images, N instances:

======================  =======================  ==================================================================
``image_ids``           (I,) int64               as in the json
``image_sizes``         (I, 2) int32             height, width in the frame of the labels
``rotate``              (I,) bool                whether the labels were drawn on the EXIF-rotated image
``sources``             (I,) int32               place in ``sources`` of ``meta.json``, where the labels are from
``file_names``          bytes + offsets (I + 1)  relative to ``image_root``, UTF-8
``instance_offsets``    (I + 1,) int64           instances of image i are ``offsets[i] : offsets[i + 1]``
``annotation_ids``      (N,) int64               as in the json
``labels``              (N,) int32               1..num_categories
``iscrowd``             (N,) bool
``has_mask``            (N,) bool                False for a box that teaches no mask
``areas``               (N,) float64             px², as annotated
``boxes``               (N, 4) float64           xyxy
``part_offsets``        (N + 1,) int64           polygon parts of instance n; none when it is a bitmap
``point_offsets``       (parts + 1,) int64       vertices of a part
``points``              (vertices, 2) float64    x, y
``rle_counts``          bytes + offsets (N + 1)  compressed run lengths; empty when it is vector
======================  =======================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.masks import polygons_to_rle
from instseg.core.types import GroundTruth, Image, ImageSize, Instances, Polygon, Rle
from instseg.data.index.layout import COLUMNS, LabelSource, open_column, read_meta
from instseg.data.reading.images import read_image


class Index:
    """Reader of the columns; cheap to open, cheap to pickle (workers map the same files).

    An ``index`` counts the images from 0, within ``rows`` where that restricts them to some; an ``image_id`` is that of
    the json. A ``row`` is the place of an image or instance in its columns, whatever the restriction.
    """

    def __init__(self, folder: Path, rows: NDArray[np.int64] | None = None) -> None:
        """Map the columns into memory.

        Args:
            folder: the files of the index.
            rows: (len,) the images that count, ascending; None for all.

        Raises:
            RecordError: the folder holds no index.
        """
        self.folder = folder
        meta = read_meta(folder)
        self.image_root = Path(meta.image_root)
        self.categories = Categories(meta.categories)
        self.value_range = meta.value_range
        self.sources: tuple[LabelSource, ...] = meta.sources
        self._columns: dict[str, NDArray[Any]] = {name: open_column(folder, name) for name in COLUMNS}
        self.rows = np.arange(len(self._columns["image_ids"])) if rows is None else rows

    def __reduce__(self) -> tuple[type[Index], tuple[Path, NDArray[np.int64]]]:
        return Index, (self.folder, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def fraction(self, fraction: float, seed: int) -> Index:
        """Return the index of a fraction of the images, at least one.

        Args:
            fraction: of the images, 0 to 1.
            seed: decides which; the smaller of two fractions with one seed lies in the larger.
        """
        order = np.random.default_rng(seed).permutation(self.rows)
        return Index(self.folder, np.sort(order[: max(1, round(fraction * len(order)))]))

    def first_with_instances(self, num_images: int) -> Index:
        """Return the index of the first images with an instance, categories taking turns so that none is missing."""
        chosen: dict[int, None] = {}  # in order
        counts = self._instances_per_image_and_category()[self.rows]
        queues = [list(self.rows[counts[:, c] > 0]) for c in np.argsort(np.count_nonzero(counts, axis=0))]
        while len(chosen) < num_images and any(queues):
            for queue in filter(None, queues):
                while queue and queue[0] in chosen:
                    queue.pop(0)
                if queue and len(chosen) < num_images:
                    chosen[queue.pop(0)] = None
        return Index(self.folder, np.sort(np.fromiter(chosen, dtype=np.int64)))

    def _instances_per_image_and_category(self) -> NDArray[np.int64]:
        """Return (all images, num_categories) counts, crowds left out."""
        table = np.zeros((len(self._columns["image_ids"]), len(self.categories)), dtype=np.int64)
        image_of = np.repeat(np.arange(len(table)), np.diff(self._columns["instance_offsets"]))
        counted = ~self._columns["iscrowd"]
        np.add.at(table, (image_of[counted], self._columns["labels"][counted] - 1), 1)
        return table

    def has_category(self) -> NDArray[np.bool_]:
        """Return (chosen images, num_categories), whether an image has an instance of a category, crowds left out."""
        found: NDArray[np.bool_] = self._instances_per_image_and_category()[self.rows] > 0
        return found

    def instances_per_image(self) -> NDArray[np.int64]:
        """Return (all images,) the number of instances of each, crowds left out."""
        counted = np.concatenate([[0], np.cumsum(~self._columns["iscrowd"])])
        per_image: NDArray[np.int64] = np.diff(counted[self._columns["instance_offsets"]])
        return per_image

    def instances_per_category(self, counted: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return (num_categories,) how many instances each label from 1 has, without crowds and those not counted."""
        counts = np.diff(self._columns["instance_offsets"])
        chosen = np.repeat(np.isin(np.arange(len(counts)), self.rows), counts) & ~self._columns["iscrowd"]
        chosen = chosen if counted is None else chosen & counted
        labels = self._columns["labels"][chosen].astype(np.int64)
        return np.bincount(labels, minlength=self.categories.num_classes)[1:].astype(np.int64)

    def column(self, name: str) -> NDArray[Any]:
        """Return a whole column as the table above describes it, whatever ``rows`` are chosen; read-only."""
        column: NDArray[Any] = self._columns[name]
        return column

    @property
    def num_instances(self) -> int:
        """Number of instances in the chosen images, crowds left out."""
        return int(self.instances_per_category().sum())

    def image_id(self, index: int) -> int:
        """Return the id of an image in the json."""
        return int(self._columns["image_ids"][self.rows[index]])

    def image_size(self, index: int) -> ImageSize:
        """Return the (height, width) of an image in the frame of its labels."""
        height, width = self._columns["image_sizes"][self.rows[index]]
        return int(height), int(width)

    def image_sizes(self) -> NDArray[np.int64]:
        """Return (len(self), 2) height and width of the chosen images, px."""
        sizes: NDArray[np.int64] = self._columns["image_sizes"][self.rows].astype(np.int64)
        return sizes

    def rotate(self, index: int) -> bool:
        """Tell whether the labels of an image were drawn on the EXIF-rotated one."""
        return bool(self._columns["rotate"][self.rows[index]])

    def unlabelled(self, index: int) -> tuple[int, ...]:
        """Return the labels of the categories that the source of an image has not labelled completely."""
        return self.sources[int(self._columns["sources"][self.rows[index]])].unlabelled

    def file_name(self, index: int) -> str:
        """Return the file name of an image, relative to ``image_root``."""
        return self._bytes("file_names", self.rows[index]).decode("utf-8", "surrogateescape")

    def path(self, index: int) -> Path:
        """Return the file of an image."""
        return self.image_root / self.file_name(index)

    def read_image(self, index: int) -> Image:
        """Decode an image in the frame of its labels; (H, W, 3) uint8 RGB.

        Raises:
            InstsegError: as ``instseg.data.reading.images.read_image``.
        """
        return read_image(self.path(index), self.rotate(index), self.value_range)

    def index_of(self, image_id: int) -> int:
        """Return the index of the image with this id."""
        return int(np.flatnonzero(self._columns["image_ids"][self.rows] == image_id)[0])

    def instances(self, index: int) -> Instances:
        """Return the training instances of one image, vector where the labels are; ``Instances`` tells the labels."""
        rows = list(self._instance_rows(index))
        labels = np.where(self._columns["iscrowd"][rows], 0, self._columns["labels"][rows]).astype(np.int64)
        labels = np.where(self._columns["has_mask"][rows], labels, -labels)
        polygons = [self.polygons(row) for row in rows]
        size = self.image_size(index)
        rles = [None if parts else self._bitmap(row, size) for row, parts in zip(rows, polygons, strict=True)]
        return Instances(labels, polygons, rles)

    def ground_truth(self, index: int, with_instances: bool = True) -> GroundTruth:
        """Return everything a person drew on one image, crowds included, as RLE in the original frame.

        Instances of a category that is not labelled completely there count as crowds: they are no miss, either.

        Args:
            index: of the image.
            with_instances: leave it empty otherwise.
        """
        rows = list(self._instance_rows(index)) if with_instances else []
        size = self.image_size(index)
        rles = [self.rle(row, index) for row in rows]
        is_box_only, unlabelled = ~self._columns["has_mask"][rows], self.unlabelled(index)
        is_partial = np.isin(self._columns["labels"][rows], unlabelled)
        return GroundTruth(
            image_id=self.image_id(index),
            image_size=size,
            boxes=np.array(self._columns["boxes"][rows], dtype=np.float64).reshape(-1, 4),
            labels=self._columns["labels"][rows].astype(np.int64),
            areas=np.array(self._columns["areas"][rows], dtype=np.float64),
            iscrowd=self._columns["iscrowd"][rows] | is_box_only | is_partial,
            rles=rles,
            is_box_only=is_box_only & ~is_partial if is_box_only.any() else None,
            unlabelled=unlabelled,
        )

    def _instance_rows(self, index: int) -> Iterable[int]:
        row = self.rows[index]
        start, end = self._columns["instance_offsets"][row : row + 2]
        return range(int(start), int(end))

    def polygons(self, row: int) -> list[Polygon]:
        """Return the parts of the instance in a row of the columns, none when it is a bitmap."""
        first, last = self._columns["part_offsets"][row : row + 2]
        bounds = self._columns["point_offsets"][first : last + 1]
        return [np.array(self._columns["points"][a:b]) for a, b in pairwise(bounds)]

    def rle(self, row: int, index: int) -> Rle:
        """Return the mask of one instance in the frame of its image.

        Args:
            row: of the instance in the columns.
            index: of its image.
        """
        parts, size = self.polygons(row), self.image_size(index)
        return polygons_to_rle(parts, size) if parts else self._bitmap(row, size)

    def _bitmap(self, row: int, size: ImageSize) -> Rle:
        return {"size": list(size), "counts": self._bytes("rle_counts", row)}

    def _bytes(self, name: str, row: int) -> bytes:
        start, end = self._columns[f"{name}_offsets"][row : row + 2]
        return bytes(self._columns[name][start:end])
