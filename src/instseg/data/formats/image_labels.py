"""The labels of one image, read in threads: most of the time goes into decoding masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle, box_to_polygon, clip_polygon, polygons_to_rle
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.formats.shapes import Shape
from instseg.data.reading.findings import Findings, told
from instseg.data.reading.folders import split_of_folders
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of
from instseg.data.reading.threads import READING, map_in_threads

Item = TypeVar("Item")

LARGE_PIXELS = 16_000_000
"""Decoding a mask takes 3 bytes per pixel, a coloured one 13: with 16 threads at most 3 GB."""
_LARGE_IMAGES = Lock()


@dataclass(slots=True)
class ImageLabels:
    """The labels of one image, between the thread that reads them and the split they belong to.

    Masks are stored as RLE, never as pixels.
    """

    file_name: str
    split: str = UNSPLIT
    image_size: ImageSize | None = None
    instances: list[tuple[str, Shape, int]] = field(default_factory=list)  # category, shape, iscrowd
    problems: list[tuple[str, str]] = field(default_factory=list)  # kind of finding, its subject
    is_left_out: bool = False

    def add(self, category: str, shape: Shape, iscrowd: bool = False) -> None:
        """Add an instance.

        Args:
            category: its name.
            shape: an RLE of the image's size, a list of polygons (P, 2) in px, or a box (4,) xyxy in px.
            iscrowd: whether it is a crowd region.
        """
        self.instances.append((category, shape, int(iscrowd)))

    def add_parts(self, category: str, shapes: Sequence[Shape]) -> None:
        """Add an instance that was drawn as several shapes.

        Args:
            category: its name.
            shapes: at least one, each as ``add`` takes it.
        """
        if len(shapes) == 1:
            self.add(category, shapes[0])
        elif any(isinstance(shape, dict) for shape in shapes) and self.image_size is not None:
            self.add(category, coco_mask.merge([_rle_of(shape, self.image_size) for shape in shapes]))
        else:
            self.add(category, [part for shape in shapes if not isinstance(shape, dict) for part in _parts_of(shape)])

    def report(self, kind: str, name: str) -> None:
        """Record a finding.

        Args:
            kind: a key of ``findings.KINDS``.
            name: its subject.
        """
        self.problems.append((kind, name))

    def leave_out(self, kind: str, name: str) -> None:
        """Record a finding that makes the whole image unusable.

        Args:
            kind: a key of ``findings.KINDS``.
            name: its subject.
        """
        self.report(kind, name)
        self.is_left_out = True


class ShapeGroups:
    """The instances of an image while its shapes are read, some of which are parts of one instance."""

    def __init__(self) -> None:
        self._groups: dict[object, tuple[str, list[Shape]]] = {}

    def add(self, key: object, category: str, shape: Shape) -> None:
        """Add a shape.

        Args:
            key: of its instance.
            category: name.
            shape: as ``ImageLabels.add`` takes it.
        """
        self._groups.setdefault(key, (category, []))[1].append(shape)

    def add_to(self, labels: ImageLabels) -> None:
        """Add the instances to the labels of their image, in the order of their first shapes."""
        for category, shapes in self._groups.values():
            labels.add_parts(category, shapes)


def _parts_of(shape: list[Polygon] | NDArray[np.float64]) -> list[Polygon]:
    return shape if isinstance(shape, list) else [box_to_polygon(shape)]


def _rle_of(shape: Shape, image_size: ImageSize) -> Rle:
    if isinstance(shape, dict):
        return shape
    clipped = [part for polygon in _parts_of(shape) if len(part := clip_polygon(polygon, image_size)) >= 3]
    return polygons_to_rle(clipped, image_size) if clipped else bitmask_to_rle(np.zeros(image_size, np.uint8))


def read_in_threads(
    read: Callable[[Item], ImageLabels], items: Sequence[Item], findings: Mapping[str, Findings]
) -> dict[str, LabelsBuilder]:
    """Read every item in threads and collect the labels by split.

    Args:
        read: called with one item, in a thread.
        items: the labelled images in any form.
        findings: by split; gets what ``read`` reported.

    Returns:
        Split name -> the labels of its images, in the order of the items.
    """
    builders: defaultdict[str, LabelsBuilder] = defaultdict(LabelsBuilder)
    for labels in map_in_threads(read, items, READING):
        for kind, name in labels.problems:
            findings[labels.split].add(kind, name)
        if not labels.is_left_out:
            _add(builders[labels.split], labels)
    return dict(builders)


def _add(builder: LabelsBuilder, labels: ImageLabels) -> None:
    image_id = builder.add_image(labels.file_name, labels.image_size)
    for category, shape, iscrowd in labels.instances:
        if isinstance(shape, dict):
            builder.add_rle(image_id, category, shape, iscrowd=iscrowd)
        elif isinstance(shape, list):
            builder.add_polygons(image_id, category, shape, iscrowd=iscrowd)
        else:
            builder.add_box(image_id, category, shape, iscrowd=iscrowd)


def taking_turns(image_size: ImageSize | None) -> AbstractContextManager[object]:
    """Return the context in which to decode the masks of an image: large images take turns, others do not wait."""
    height, width = image_size or (0, 0)
    return _LARGE_IMAGES if height * width > LARGE_PIXELS else nullcontext()


def report_unlabelled(images: Iterable[str], root: Path, findings: Mapping[str, Findings]) -> None:
    """Record unlabelled images under the split that their folders name.

    Args:
        images: paths from ``root``.
        root: the folder of the dataset.
        findings: by split.
    """
    for image in images:
        findings[split_of_folders(root / image, root) or UNSPLIT].add("image_unlabelled", image)


def check_has_instances(builders: Mapping[str, LabelsBuilder], findings: Mapping[str, Findings], where: str) -> None:
    """Check that some split has an instance.

    Args:
        builders: the labels by split.
        findings: by split; the first kinds are given as the likely reasons.
        where: the beginning of the message.

    Raises:
        InstsegError: no split has an instance.
    """
    if any(builder.names for builder in builders.values()):
        return
    kinds = {kind: names for found in findings.values() for kind, names in found.names.items() if names}
    reasons = [told(kind, names) for kind, names in kinds.items()]
    raise InstsegError(f"{where}: no instance can be used" + "".join(f"; {reason}" for reason in reasons[:3]))


def labels_of(builders: Mapping[str, LabelsBuilder], image_root: Path) -> dict[str, Labels]:
    """Build the labels of all splits, which share one list of categories: those that have instances, sorted by name.

    Args:
        builders: by split.
        image_root: the folder that file names are relative to.
    """
    categories = categories_of(builders.values())
    return {split: Labels(builder.coco(categories), image_root) for split, builder in builders.items()}


def usable_labels(
    builders: Mapping[str, LabelsBuilder], image_root: Path, findings: Mapping[str, Findings], where: str
) -> dict[str, Labels]:
    """Build the labels of all splits, as ``labels_of`` does, once ``check_has_instances`` has found some to use.

    Args:
        builders: by split.
        image_root: the folder that file names are relative to.
        findings: by split; the first kinds are given as the likely reasons.
        where: the beginning of the message.

    Raises:
        InstsegError: no split has an instance.
    """
    check_has_instances(builders, findings, where)
    return labels_of(builders, image_root)
