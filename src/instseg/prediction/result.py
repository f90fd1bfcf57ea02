"""The result of a prediction: the instances that were found on one image."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.categories import select_names
from instseg.core.coco_json import predictions_to_coco
from instseg.core.errors import InstsegError
from instseg.core.masks import rle_to_bitmask
from instseg.core.text import plural
from instseg.core.types import CocoDict, Image, ImageSize, Polygon, Prediction, Rle
from instseg.prediction.output import DEFAULT_SAVE
from instseg.prediction.saving import ModelFacts, save_predictions
from instseg.prediction.source_image import SourceImage
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, prediction_polygons
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_prediction
from instseg.visualization.notebook import picture_png, sheet_png

Kind = TypeVar("Kind", bound=np.generic)

NUM_SHOWN, NUM_DRAWN = 20, 9
"""Images of a list of results that are shown as text, and those that a notebook shows as pictures."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Result:
    """The instances found on one image, best score first; nothing of it changes.

    ``result[0]`` is the result with the first instance alone, ``result[:3]`` and ``result[result.scores > 0.9]`` are
    those with some of them, and iterating gives one instance after the other.
    """

    source: SourceImage
    """The image that was given."""
    prediction: Prediction
    model: ModelFacts

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) boxes x1, y1, x2, y2 in pixels, with exclusive ends."""
        return _fixed(self.prediction.boxes)

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) scores, 0 to 1, falling."""
        return _fixed(self.prediction.scores)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) labels, from 1: ``model.categories[label - 1]`` is the name."""
        return _fixed(self.prediction.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The N names of the categories."""
        return tuple(self.model.categories.name(int(label)) for label in self.prediction.labels)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, height, width) masks. They are decoded each time: keep them in a variable."""
        masks = np.zeros((len(self), *self.image_size), np.bool_)
        for mask, rle in zip(masks, self.prediction.rles, strict=True):
            mask[:] = rle_to_bitmask(rle)
        return masks

    @property
    def rles(self) -> tuple[Rle, ...]:
        """The N masks as COCO's compressed run lengths: ``{"size": [height, width], "counts": bytes}``."""
        return tuple(Rle(size=list(rle["size"]), counts=rle["counts"]) for rle in self.prediction.rles)

    @property
    def image_size(self) -> ImageSize:
        """(height, width) of the image in pixels, upright."""
        return self.prediction.image_size

    @property
    def image(self) -> Image:
        """The image, (height, width, 3) uint8 RGB, upright; read again where it was given as a path."""
        return _fixed(self.source.pixels())

    def polygons(self) -> list[list[Polygon]]:
        """Return the parts of each instance, largest first, (P, 2) x, y in pixels; holes are joined by seams."""
        return prediction_polygons(self.prediction)

    def __getitem__(self, chosen: int | slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Result:
        """Return the instances at a position, in a slice, at several positions, or where a mask (N,) is true."""
        positions = np.arange(len(self))
        return self._with(np.atleast_1d(positions[chosen]))

    def __iter__(self) -> Iterator[Result]:
        return (self[position] for position in range(len(self)))

    def filter(self, names: str | Sequence[str] | None = None, min_score: float = 0.0) -> Result:
        """Return the instances of some categories and of a score.

        Args:
            names: one category or several; None: all.
            min_score: instances with a lower score are left out, 0 to 1.

        Raises:
            InstsegError: the model has no category of that name.
        """
        wanted = select_names(self.model.categories.names, names, "names")
        labels = [self.model.categories.label(name) for name in wanted]
        found = self.prediction
        return self._with(np.flatnonzero(np.isin(found.labels, labels) & (found.scores >= min_score)))

    def _with(self, positions: NDArray[np.int64]) -> Result:
        found = self.prediction
        rles = [found.rles[position] for position in positions]
        chosen = Prediction(
            found.image_id,
            found.image_size,
            found.boxes[positions],
            found.labels[positions],
            found.scores[positions],
            rles,
        )
        return replace(self, prediction=chosen)

    def plot(self, colour_by: ColourBy = "instance") -> PilImage.Image:
        """Return the image with masks, names and scores; ``np.asarray`` of it is a uint8 RGB array.

        One that was read by windows is shrunk to 4,096 px.

        Args:
            colour_by: instance: a shade of its category's colour for each; category: the category's colour.

        Raises:
            InstsegError: ``colour_by`` is neither.
        """
        if colour_by not in get_args(ColourBy):
            raise InstsegError(f"colour_by={colour_by}: expected one of {', '.join(get_args(ColourBy))}")
        loaded = LoadedImage(PredictedImage(self.source.name, "", self.prediction), self.source.decoded())
        drawn = draw_prediction(*loaded.overview, self.model.categories, 0.0, colour_by)
        return PilImage.fromarray(drawn)

    def save(
        self, folder: str | os.PathLike[str], formats: str | Sequence[str] = DEFAULT_SAVE, *, overwrite: bool = False
    ) -> None:
        """Write what was found into a folder, as ``instseg predict`` does.

        Args:
            folder: the output; an image that came from memory is written into it as well.
            formats: as of ``save=`` of ``instseg predict``, such as overlays, masks, coco, csv, labelme or yolo.
            overwrite: replace what was saved there earlier.

        Raises:
            InstsegError: a format is not known, or the folder holds earlier predictions.
        """
        Results([self]).save(folder, formats, overwrite=overwrite)

    def to_coco(self) -> CocoDict:
        """Return a COCO dataset of this image, whose annotations are COCO results."""
        found = self.prediction
        return predictions_to_coco([found], {found.image_id: self.source.name}, self.model.categories)

    def to_supervision(self) -> object:
        """Return ``supervision.Detections``; class ids count from 0, as supervision's do.

        Raises:
            ImportError: the package supervision is not installed.
        """
        try:
            supervision = importlib.import_module("supervision")
        except ImportError as error:
            raise ImportError('to_supervision() needs supervision: pip install "instseg[supervision]"') from error
        detections: object = supervision.Detections(
            xyxy=self.prediction.boxes.copy(),
            mask=self.masks,
            confidence=self.prediction.scores.copy(),
            class_id=self.prediction.labels - 1,
            data={"class_name": np.array(self.names, dtype=str)},
        )
        return detections

    def __repr__(self) -> str:
        height, width = self.image_size
        return f"{self._counts()}, {width} x {height} px"

    def _counts(self) -> str:
        if not len(self):
            return "no instances"
        counts = ", ".join(f"{count} {name}" for name, count in Counter(self.names).most_common())
        scores = [f"{score:.2f}" for score in self.prediction.scores]
        if len(self) == 1:
            return f"1 instance: {counts} (score {scores[0]})"
        return f"{plural(len(self), 'instance')}: {counts} (scores {max(scores)} to {min(scores)})"

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows."""
        return picture_png(self.plot())


class Results(list[Result]):
    """The results of several images, in their order."""

    def save(
        self, folder: str | os.PathLike[str], formats: str | Sequence[str] = DEFAULT_SAVE, *, overwrite: bool = False
    ) -> None:
        """Write all of them into one folder.

        Args:
            folder: as of ``Result.save``.
            formats: as there.
            overwrite: as there.

        Raises:
            InstsegError: as ``Result.save``; or the list is empty, or has an image twice.
        """
        if not self:
            raise InstsegError(f"save: expected at least one result to save into {os.fspath(folder)}, found none")
        found = [(result.source, result.prediction) for result in self]
        save_predictions(found, self[0].model, Path(folder), formats, overwrite)

    def __repr__(self) -> str:
        images = plural(len(self), "image")
        shown = [f"  {result.source.name}: {result!r}" for result in self[:NUM_SHOWN]]
        more = [f"  … and {len(self) - NUM_SHOWN} more"] if len(self) > NUM_SHOWN else []
        return "\n".join([images, *shown, *more])

    def _repr_png_(self) -> bytes | None:
        """Return the sheet of the first images that a notebook shows; None for an empty list."""
        first = self[:NUM_DRAWN]
        return sheet_png([result.plot() for result in first], [result.source.name for result in first])


def _fixed(array: NDArray[Kind]) -> NDArray[Kind]:
    """Return a view that cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view
