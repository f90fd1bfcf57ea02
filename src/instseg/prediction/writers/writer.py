"""The base of every format: one writer, which is given the run, then one image after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from instseg.core.categories import Categories
from instseg.prediction.model_version import model_version
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage


@dataclass(frozen=True, slots=True)
class PredictionRun:
    """The output, the image folder, the categories and the model of a run, the same for all its images."""

    output: Path  # absolute
    image_folder: Path  # absolute; the folder that images are named relative to
    categories: Categories
    identity: Mapping[str, object]
    """The model as plain containers: checkpoint, run, epoch, metrics, version, threshold, time."""

    @property
    def model_version(self) -> str:
        """The model in a few words, the same for the same checkpoint."""
        return model_version(self.identity)


class Writer:
    """One format of predictions.

    ``start`` is called once, before the images; ``add`` once for each image, from several threads; ``finish`` once,
    after all of them. A constructor takes the keys that stand beside ``_target_`` in the writer's yaml.
    """

    writes: ClassVar[str]
    """The one file or folder in the output that holds everything of this format."""

    run: PredictionRun

    def start(self, run: PredictionRun) -> None:
        """Remember the run; a writer that collects something for ``finish`` begins it here."""
        self.run = run
        self.notes: list[str] = []
        """Notes on the files for the user, printed once at the end."""

    @property
    def path(self) -> Path:
        """The absolute path of ``writes``."""
        return self.run.output / self.writes

    def add(self, image: LoadedImage) -> None:
        """Write the files of one image."""

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the files of the whole run; ``images`` are the added ones, in the order of the source."""
