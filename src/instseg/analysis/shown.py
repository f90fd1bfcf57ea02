"""Images that a page shows: small JPEGs with the polygons of what is there and what was found, within a budget."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.analysis.cases import Pictured
from instseg.analysis.page.content import Shape, Shown, ShownCase, ShownImage
from instseg.analysis.subject import Subject
from instseg.analysis.wording import boxes_of
from instseg.core.errors import InstsegError
from instseg.core.polygons import pixel_polygons
from instseg.core.simplification import simplified
from instseg.core.text import visible
from instseg.core.types import Image, Rle
from instseg.visualization.scaling import cut_mask, resized

MAX_SIDE_PX = 1024
JPEG_QUALITY = 80
TOLERANCE_PX = 0.6
MAX_BYTES = 11_000_000
"""Of all images with their polygons."""
MAX_TITLE = 120


P = TypeVar("P", bound=Pictured)


class Showcase(Generic[P]):
    """Collector of the cases that a page shows; one whose image is beyond the budget, or cannot be read, is refused.

    Args:
        subject: what was evaluated.
        right_of: image -> row of each detection that is drawn, and whether it is right.
        describe: says in a line what a case is about.
        max_bytes: of all images with their polygons.
    """

    def __init__(
        self,
        subject: Subject,
        right_of: Mapping[int, Mapping[int, bool]],
        describe: Callable[[P, Subject], str],
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.subject, self.right_of, self.describe, self.max_bytes = subject, right_of, describe, max_bytes
        self.shown = Shown()
        self._images: dict[int, int | None] = {}
        self._cases: dict[P, int] = {}
        self._rows: dict[int, dict[int, int]] = {}
        self._scales: dict[int, float] = {}
        self._bytes = 0

    def add(self, case: P) -> int | None:
        """Return the number of the case on the page, None where it is not shown."""
        if case not in self._cases:
            image = self._image(case.image)
            if image is None:
                return None
            self._cases[case] = len(self.shown.cases)
            self.shown.cases.append(self._shown_case(case, image))
        return self._cases[case]

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
        subject = self.subject
        try:
            pixels = subject.read_image(image)
        except InstsegError:
            return None
        scale = min(1.0, MAX_SIDE_PX / max(pixels.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        self._scales[image] = scale
        truth, prediction = subject.evaluated.truths[image], subject.evaluated.predictions[image]
        right = self.right_of.get(image, {})
        self._rows[image] = {row: number for number, row in enumerate(right)}
        names = subject.evaluated.categories
        found = [
            Shape(
                outline(prediction.rles[row], scale),
                f"{visible(names.name(int(prediction.labels[row])))[:MAX_TITLE]} {prediction.scores[row]:.2f}",
                is_right,
            )
            for row, is_right in right.items()
        ]
        truths = [
            Shape(outline(rle, scale), visible(names.name(int(label)))[:MAX_TITLE] + (", crowd" if crowd else ""))
            for rle, label, crowd in zip(truth.rles, truth.labels, truth.iscrowd, strict=True)
        ]
        name = visible(subject.file(image).name)
        return ShownImage(name, _data_url(resized(pixels, (height, width))), width, height, truths, found)

    def _shown_case(self, case: P, image: int) -> ShownCase:
        boxes, scale = boxes_of(case, self.subject), self._scales[case.image]
        x1, y1 = boxes[:, :2].min(axis=0) * scale
        x2, y2 = boxes[:, 2:].max(axis=0) * scale
        drawn = self._rows[case.image]
        detections = [drawn[row] for row in case.detections if row in drawn]
        box = [round(float(value), 1) for value in (x1, y1, x2 - x1, y2 - y1)]
        return ShownCase(image, self.describe(case, self.subject), box, [*case.truths], detections)


def outline(rle: Rle, scale: float) -> str:
    """Return the edge of a mask as the path of an SVG; "" for an empty mask.

    Args:
        rle: of the image's size.
        scale: of the shown image to the image.
    """
    mask, corner = cut_mask(rle, scale)
    rings = (simplified(ring, TOLERANCE_PX) + corner for ring in pixel_polygons(mask))
    return "".join(map(_path, rings))


def _path(ring: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in ring.round(1).tolist()) + "Z"


def _data_url(picture: Image) -> str:
    buffer = io.BytesIO()
    PilImage.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def in_turns(groups: Sequence[Sequence[P]]) -> Iterator[tuple[int, P]]:
    """Yield (number of the group, case), first all first cases: each group has its fair part of a budget."""
    for place in range(max(map(len, groups), default=0)):
        yield from ((number, group[place]) for number, group in enumerate(groups) if place < len(group))
