"""What one image's label files say, read in threads: decoding masks is where most of the time goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.reading.findings import KINDS, Findings
from instseg.data.reading.folders import split_of_folders
from instseg.data.reading.frames import MIN_IMAGES_FOR_PROGRESS_BAR, NUM_THREADS
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of

Item = TypeVar("Item")
Result = TypeVar("Result")
Shape = Rle | list[Polygon] | NDArray[np.float64]
"""A bitmap of the image's size, the parts of an instance, or a box (4,) xyxy."""

LARGE_PIXELS = 16_000_000
"""A mask takes 3 bytes a pixel while it is read, in colours 13: with 16 threads, 3 GB at the most."""
_LARGE_IMAGES = Lock()


@dataclass(slots=True)
class ImageLabels:
    """On its way from the thread that read it to the split that it belongs to. Masks are RLE by then, never pixels."""

    file_name: str
    split: str = UNSPLIT
    image_size: ImageSize | None = None
    instances: list[tuple[str, Shape, int]] = field(default_factory=list)  # category, shape, iscrowd
    problems: list[tuple[str, str]] = field(default_factory=list)  # kind of finding, what it concerns
    is_left_out: bool = False

    def add(self, category: str, shape: Shape, iscrowd: bool = False) -> None:
        self.instances.append((category, shape, int(iscrowd)))

    def report(self, kind: str, name: str) -> None:
        self.problems.append((kind, name))

    def leave_out(self, kind: str, name: str) -> None:
        """Report it as a reason for which the whole image cannot be used."""
        self.report(kind, name)
        self.is_left_out = True


def read_in_threads(
    read: Callable[[Item], ImageLabels], items: Sequence[Item], findings: Mapping[str, Findings]
) -> dict[str, LabelsBuilder]:
    """``read`` every item; the results, by split, are in the order of the items. What was reported is counted."""
    builders: defaultdict[str, LabelsBuilder] = defaultdict(LabelsBuilder)
    for labels in map_in_threads(read, items):
        for kind, name in labels.problems:
            findings[labels.split].add(kind, name)
        if not labels.is_left_out:
            _add(builders[labels.split], labels)
    return dict(builders)


def map_in_threads(read: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results in the order of the items, with a progress bar where there are many."""
    hidden = len(items) < MIN_IMAGES_FOR_PROGRESS_BAR
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        results = pool.map(read, items)
        console = Console(stderr=True)
        yield from track(results, "Reading labels", len(items), console=console, transient=True, disable=hidden)


def _add(builder: LabelsBuilder, labels: ImageLabels) -> None:
    image_id = builder.add_image(labels.file_name, labels.image_size)
    for category, shape, iscrowd in labels.instances:
        if isinstance(shape, dict):
            builder.add_rle(image_id, category, shape, iscrowd=iscrowd)
        elif isinstance(shape, list):
            builder.add_polygons(image_id, category, shape, iscrowd=iscrowd)
        else:
            builder.add_box(image_id, category, shape, iscrowd=iscrowd)


def taking_turns(image_size: ImageSize | None) -> AbstractContextManager[Any]:
    """For the time that the masks of an image are in memory: those of large images one image after the other."""
    height, width = image_size or (0, 0)
    return _LARGE_IMAGES if height * width > LARGE_PIXELS else nullcontext()


def report_unlabelled(images: Iterable[str], root: Path, findings: Mapping[str, Findings]) -> None:
    """Count the images, by their paths from ``root``, under the split that their folders name."""
    for image in images:
        findings[split_of_folders(root / image, root) or UNSPLIT].add("image_unlabelled", image)


def check_has_instances(builders: Mapping[str, LabelsBuilder], findings: Mapping[str, Findings], where: str) -> None:
    """InstsegError unless there is an instance in any split, with the first findings as the likely reasons."""
    if any(builder.names for builder in builders.values()):
        return
    kinds = {kind: names for found in findings.values() for kind, names in found.names.items() if names}
    reasons = [f"{len(names)} {KINDS[kind]}: {list_names(names, 2)}" for kind, names in kinds.items()]
    raise InstsegError(f"{where}: no instance can be used" + "".join(f"; {reason}" for reason in reasons[:3]))


def labels_of(builders: Mapping[str, LabelsBuilder], image_root: Path) -> dict[str, Labels]:
    """All splits with the same categories: those that have instances, by name."""
    categories = categories_of(builders.values())
    return {split: Labels(builder.coco(categories), image_root) for split, builder in builders.items()}
