"""What every format is given: the run, and one photo after the other with what was found on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.masks import rle_to_bitmask, rle_to_box
from instseg.core.polygons import bitmask_to_polygons
from instseg.core.types import Image, Polygon, Prediction

MAX_8_BIT = 255
TOLERANCE_PX, TOLERANCE_SHARE = 1.0, 1 / 400
"""How far a polygon may lie from its mask: this, or this share of the larger side of the instance's box if that is
more. A mask comes out of the network at 28 x 28, so a hundredth of its side is the finest that it knows."""


@dataclass(frozen=True, slots=True)
class ExportRun:
    """What all photos of a run have in common."""

    output: Path  # absolute
    image_folder: Path  # absolute; the folder that photos are named relative to
    categories: Categories
    identity: Mapping[str, Any]
    """What found the instances, as plain containers: checkpoint, run, epoch, metrics, version, threshold, time."""

    @property
    def model_version(self) -> str:
        """The model in a few words, the same for the same checkpoint."""
        if run := self.identity.get("run"):
            return f"{run} epoch {self.identity['epoch']}"
        return str(self.identity.get("checkpoint") or self.identity.get("weights") or "instseg")


@dataclass(frozen=True, slots=True)
class PredictedPhoto:
    """A photo without its pixels, and what was found on it (upright frame, best score first)."""

    file: str  # relative to the image folder, with /
    stem: str  # the same without extension, or with it where another photo has the same: what its files are called
    prediction: Prediction


class Picture:
    """A predicted photo while its pixels are there, with what several formats need, made once."""

    def __init__(self, photo: PredictedPhoto, pixels: Image) -> None:
        self.photo, self.pixels = photo, pixels

    @property
    def prediction(self) -> Prediction:
        return self.photo.prediction

    @cached_property
    def polygons(self) -> list[list[Polygon]]:
        """The parts of each instance, largest first, as few points as show its shape; holes joined by seams."""
        return [
            bitmask_to_polygons(rle_to_bitmask(rle), max(TOLERANCE_PX, TOLERANCE_SHARE * float(max(box[2:] - box[:2]))))
            for rle, box in zip(self.prediction.rles, self.prediction.boxes, strict=True)
        ]

    @cached_property
    def values(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W): k where instance k (from 1, best score first) is seen on top of those with lower scores, else 0."""
        kind = np.uint8 if len(self.prediction) <= MAX_8_BIT else np.uint16
        values = np.zeros(self.prediction.image_size, kind)
        for value in range(len(self.prediction), 0, -1):
            rle = self.prediction.rles[value - 1]
            x1, y1, x2, y2 = map(int, rle_to_box(rle))
            values[y1:y2, x1:x2][rle_to_bitmask(rle)[y1:y2, x1:x2] == 1] = value
        return values


class Export:
    """One format. ``add`` is called once a photo, from several threads; ``finish`` once, after all of them."""

    writes: ClassVar[str]
    """The file or folder in the output that holds everything of this format."""

    def __init__(self, run: ExportRun) -> None:
        self.run = run
        self.notes: list[str] = []
        """What the user should know about the files, said once at the end."""

    @property
    def folder(self) -> Path:
        return self.run.output / self.writes

    def add(self, picture: Picture) -> None:
        """Write what belongs to this photo alone."""

    def finish(self, photos: Sequence[PredictedPhoto]) -> None:
        """Write what belongs to the whole run; ``photos`` are those that were added, in the order of the source."""


def unique_stems(files: Sequence[str]) -> list[str]:
    """``a/b.png`` -> ``a/b``, or ``a/b.png`` where another file of the list already took that (in any case)."""
    taken: set[str] = set()
    stems = []
    for file in files:
        stem, longer = PurePosixPath(file).with_suffix("").as_posix(), file
        while stem.casefold() in taken:
            stem, longer = longer, f"{longer}_"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
