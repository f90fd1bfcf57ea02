"""Images that a page shows: small JPEGs with the polygons of what is there and what was found, within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np

from instseg.analysis.cases import Pictured
from instseg.analysis.page.content import Shape, Shown, ShownCase, ShownImage
from instseg.analysis.subject import Subject
from instseg.analysis.svg_paths import mask_path
from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural, visible
from instseg.visualization.jpeg import data_url, encode_jpeg
from instseg.visualization.scaling import resized

MAX_SIDE_PX = 1024
MAX_BYTES = 11_000_000
"""Of all images with their polygons."""
MAX_TITLE = 120

RightOf = Mapping[int, Mapping[int, bool]]
"""Image -> row of each detection at the thresholds, and whether it is right."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Sight:
    """A place in an image, and what is to be seen there."""

    image: int
    """Position among the evaluated images."""
    text: str
    truths: tuple[int, ...]
    """Rows of the instances in question."""
    detections: tuple[tuple[int, ...], ...]
    """Rows of the detections in question, of each run."""


def sight_of(pictured: Pictured, text: str) -> Sight:
    """Return the sight of a case or suspicion, where one run is shown.

    Args:
        pictured: the case or suspicion.
        text: one line about it.
    """
    return Sight(pictured.image, text, pictured.truths, (pictured.detections,))


class Showcase:
    """Collector of the sights that a page shows; one whose image is beyond the budget, or cannot be read, is refused.

    Args:
        runs: one or more that were evaluated on the same images.
        right_of: of each run.
        max_bytes: of all images with their polygons.
    """

    def __init__(self, runs: Sequence[Subject], right_of: Sequence[RightOf], max_bytes: int = MAX_BYTES) -> None:
        self.runs, self.right_of, self.max_bytes = runs, right_of, max_bytes
        self.shown = Shown()
        self._unreadable: list[str] = []
        self._images: dict[int, int | None] = {}
        self._sights: dict[Sight, int] = {}
        self._scales: dict[int, float] = {}
        self._bytes = 0

    def add(self, sight: Sight) -> int | None:
        """Return the number of the sight on the page, None where it is not shown."""
        if sight not in self._sights:
            image = self._image(sight.image)
            if image is None:
                return None
            self._sights[sight] = len(self.shown.cases)
            self.shown.cases.append(self._case(sight, image))
        return self._sights[sight]

    @property
    def notes(self) -> list[str]:
        """One line on the images that could not be read, if there are any."""
        if not self._unreadable:
            return []
        count = plural(len(self._unreadable), "image")
        return [f"{count} could not be read, and what is in them is not shown: {list_names(self._unreadable)}"]

    def _image(self, image: int) -> int | None:
        """Return the number of an image on the page; the first time, it is read and drawn."""
        if image not in self._images:
            self._images[image] = None
            built = self._build(image) if self._bytes < self.max_bytes else None
            if built is not None:
                self._images[image] = len(self.shown.images)
                self._bytes += len(msgspec.json.encode(built))
                self.shown.images.append(built)
        return self._images[image]

    def _build(self, image: int) -> ShownImage | None:
        name = visible(self.runs[0].file(image).name)
        try:
            pixels = self.runs[0].read_image(image)
        except InstsegError:
            self._unreadable.append(name)
            return None
        scale = self._scales[image] = min(1.0, MAX_SIDE_PX / max(pixels.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        found = [
            self._found(run, right.get(image, {}), image) for run, right in zip(self.runs, self.right_of, strict=True)
        ]
        picture = data_url(encode_jpeg(resized(pixels, (height, width))))
        return ShownImage(name, picture, width, height, self._truths(image), found)

    def _truths(self, image: int) -> list[Shape]:
        truth, scale = self.runs[0].evaluated.truths[image], self._scales[image]
        return [
            Shape(mask_path(rle, scale), self._name(int(label)) + (", crowd" if crowd else ""))
            for rle, label, crowd in zip(truth.rles, truth.labels, truth.iscrowd, strict=True)
        ]

    def _found(self, run: Subject, right: Mapping[int, bool], image: int) -> list[Shape]:
        prediction, scale = run.evaluated.predictions[image], self._scales[image]
        return [
            Shape(
                mask_path(prediction.rles[row], scale),
                f"{self._name(int(prediction.labels[row]))} {prediction.scores[row]:.2f}",
                is_right,
            )
            for row, is_right in right.items()
        ]

    def _name(self, label: int) -> str:
        return visible(self.runs[0].evaluated.categories.name(label))[:MAX_TITLE]

    def _case(self, sight: Sight, image: int) -> ShownCase:
        drawn = (list(right.get(sight.image, {})) for right in self.right_of)
        pairs = zip(sight.detections, drawn, strict=True)
        rows = [[shown.index(row) for row in of_run if row in shown] for of_run, shown in pairs]
        return ShownCase(image, sight.text, self._box(sight), [*sight.truths], rows)

    def _box(self, sight: Sight) -> list[float]:
        """Return x, y, width and height of the instances of a sight, px of the shown image."""
        evaluated = [run.evaluated for run in self.runs]
        boxes = [*evaluated[0].truths[sight.image].boxes[[*sight.truths]]]
        for one, rows in zip(evaluated, sight.detections, strict=True):
            boxes += [*one.predictions[sight.image].boxes[[*rows]]]
        corners = np.asarray(boxes, dtype=np.float64) * self._scales[sight.image]
        (x1, y1), (x2, y2) = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
        return [round(float(value), 1) for value in (x1, y1, x2 - x1, y2 - y1)]


def in_turns(groups: Sequence[Sequence[Item]]) -> Iterator[tuple[int, Item]]:
    """Yield (number of the group, item), first all first items: each group has its fair part of a budget."""
    for place in range(max(map(len, groups), default=0)):
        yield from ((number, group[place]) for number, group in enumerate(groups) if place < len(group))
