"""Images and instances of a split as plain columns, and the worst of them as spots of a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.auditing.ranges import ranges
from instseg.auditing.report import MAX_SPOTS, Spot
from instseg.data.index.columns import Index
from instseg.data.transforms.resize import Resize


@dataclass(frozen=True, slots=True)
class SplitTable:
    """I images and their N instances in the order of the images; crowds are left out."""

    split: str
    index: Index
    image_sizes: NDArray[np.int64]  # (I, 2) height, width in the frame of the labels, px
    scales: NDArray[np.float64]  # (I,) px of the network's frame per px of the image
    images: NDArray[np.int64]  # (N,) index of the image of each instance
    rows: NDArray[np.int64]  # (N,) its row in the columns of the index
    labels: NDArray[np.int64]  # (N,)
    boxes: NDArray[np.float64]  # (N, 4) xyxy, cut to the image
    areas: NDArray[np.float64]  # (N,) px², as annotated
    crowd_labels: NDArray[np.int64]  # (K,) of the regions that are marked as crowd

    @property
    def num_crowds(self) -> int:
        """Number of regions that are marked as crowd."""
        return len(self.crowd_labels)

    @property
    def sides(self) -> NDArray[np.float64]:
        """(N, 2) width, height of the boxes, px."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @property
    def network_boxes(self) -> NDArray[np.float64]:
        """(N, 4) xyxy in the network frame."""
        return self.boxes * self.scales[self.images, None]

    @property
    def per_image(self) -> NDArray[np.int64]:
        """(I,) number of instances."""
        return np.bincount(self.images, minlength=len(self.image_sizes))

    @property
    def per_category(self) -> NDArray[np.int64]:
        """(C,) number of instances of each label."""
        return np.bincount(self.labels, minlength=self.index.categories.num_classes)[1:]

    def image_spot(self, image: int, detail: str = "") -> Spot:
        """Describe an image as the place of a finding.

        Args:
            image: its position in the index.
            detail: what is wrong there.
        """
        return Spot(self.split, self.index.file_name(image), detail, image=image)

    def instance_spot(self, n: int, detail: str = "") -> Spot:
        """Describe an instance as the place of a finding.

        Args:
            n: its position in the table.
            detail: what is wrong there.
        """
        image, row = int(self.images[n]), int(self.rows[n])
        annotation_id = int(self.index.column("annotation_ids")[row])
        return Spot(self.split, self.index.file_name(image), detail, image, row, annotation_id)

    def network_size(self, n: int) -> str:
        """Write width and height of an instance's box in the network frame: ``12 x 7 px``."""
        width, height = (self.boxes[n, 2:] - self.boxes[n, :2]) * self.scales[self.images[n]]
        return f"{width:.0f} x {height:.0f} px"


Tables = Mapping[str, SplitTable]
KEEP_CROWDS = "dataset.crowd=keep"


def crowds_per_category(tables: Tables) -> dict[str, tuple[int, int]]:
    """Return category -> its regions marked as crowd, and all its instances; those without any crowd left out."""
    marked: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for table in tables.values():
        names = table.index.categories.names
        found = np.bincount(table.crowd_labels, minlength=table.index.categories.num_classes)[1:]
        marked.update(dict(zip(names, found.tolist(), strict=True)))
        number.update(dict(zip(names, (found + table.per_category).tolist(), strict=True)))
    return {name: (count, number[name]) for name, count in marked.items() if count}


def read_tables(indices: Mapping[str, Index], min_size: int, max_size: int) -> dict[str, SplitTable]:
    """Read the table of every split that has images of its own; a test that only repeats val has none.

    Args:
        indices: split -> its images and instances.
        min_size: px that the resize gives the shorter side …
        max_size: … unless the longer would exceed this.
    """
    resize = Resize(min_size, max_size)
    own = {split: index for split, index in indices.items() if index.folder.name == split}
    return {split: _read_table(split, index, resize) for split, index in own.items()}


def _read_table(split: str, index: Index, resize: Resize) -> SplitTable:
    offsets = index.column("instance_offsets")
    starts, counts = offsets[index.rows], np.diff(offsets)[index.rows]
    images, rows = np.repeat(np.arange(len(index)), counts), ranges(starts, counts)
    is_crowd = index.column("iscrowd")[rows]
    crowds, images, rows = rows[is_crowd], images[~is_crowd], rows[~is_crowd]
    sizes = index.column("image_sizes")[index.rows].astype(np.int64)
    return SplitTable(
        split,
        index,
        sizes,
        _scales(sizes, resize),
        images,
        rows,
        labels=index.column("labels")[rows].astype(np.int64),
        boxes=index.column("boxes")[rows],
        areas=index.column("areas")[rows],
        crowd_labels=index.column("labels")[crowds].astype(np.int64),
    )


def _scales(sizes: NDArray[np.int64], resize: Resize) -> NDArray[np.float64]:
    different, which = np.unique(sizes, axis=0, return_inverse=True)
    scales = [resize.output_size((int(h), int(w)))[0] / int(h) for h, w in different]
    return np.array(scales, dtype=np.float64)[which.reshape(-1)]


@dataclass(frozen=True, slots=True)
class Polygons:
    """Polygon parts of some instances of a table, one after another: V vertices in P parts."""

    points: NDArray[np.float64]  # (V, 2) x, y
    part_sizes: NDArray[np.int64]  # (P,) number of vertices
    instances: NDArray[np.int64]  # (P,) position in the table of the instance that a part belongs to


INSTANCES_AT_ONCE = 50_000


def polygons_of(table: SplitTable) -> Iterator[Polygons]:
    """Yield the polygons of all instances, a bounded number at a time; bitmaps have none."""
    part_offsets, point_offsets = table.index.column("part_offsets"), table.index.column("point_offsets")
    points = table.index.column("points")
    for first in range(0, len(table.rows), INSTANCES_AT_ONCE):
        rows = table.rows[first : first + INSTANCES_AT_ONCE]
        num_parts = part_offsets[rows + 1] - part_offsets[rows]
        parts = ranges(part_offsets[rows], num_parts)
        part_sizes = point_offsets[parts + 1] - point_offsets[parts]
        instances = np.repeat(first + np.arange(len(rows)), num_parts)
        yield Polygons(points[ranges(point_offsets[parts], part_sizes)], part_sizes, instances)


def worst_instances(
    tables: Tables, badness: Mapping[str, NDArray[np.float64]], detail: Callable[[SplitTable, int], str]
) -> tuple[dict[str, int], tuple[Spot, ...]]:
    """Count the instances with a badness above 0, and name the worst.

    Args:
        tables: of all splits.
        badness: split -> (N,) numbers, 0 for those that are in order.
        detail: says what is wrong with the n-th of a table.

    Returns:
        Counts by split, and the worst of all splits as spots.
    """
    return _worst(badness, lambda split, n: tables[split].instance_spot(n, detail(tables[split], n)))


def worst_images(
    tables: Tables, badness: Mapping[str, NDArray[np.float64]], detail: Callable[[SplitTable, int], str]
) -> tuple[dict[str, int], tuple[Spot, ...]]:
    """Count the images with a badness above 0, and name the worst.

    Args:
        tables: of all splits.
        badness: split -> (N,) numbers, 0 for those that are in order.
        detail: says what is wrong with the n-th of a table.

    Returns:
        Counts by split, and the worst of all splits as spots.
    """
    return _worst(badness, lambda split, i: tables[split].image_spot(i, detail(tables[split], i)))


def _worst(
    badness: Mapping[str, NDArray[np.float64]], spot: Callable[[str, int], Spot]
) -> tuple[dict[str, int], tuple[Spot, ...]]:
    found = [(float(badness[split][n]), split, int(n)) for split in badness for n in _largest(badness[split])]
    found.sort(key=lambda entry: -entry[0])
    counts = {split: number for split, v in badness.items() if (number := int(np.count_nonzero(v > 0)))}
    return counts, tuple(spot(split, n) for _, split, n in found[:MAX_SPOTS])


def _largest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    positions = np.flatnonzero(values > 0)
    return positions[np.argsort(-values[positions], kind="stable")][:MAX_SPOTS]
