"""A writer of predictions: one text file, a line for each image that says how many of which category are on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from instseg.core.atomic import write_text_atomically
from instseg.prediction.writers.predicted_image import PredictedImage
from instseg.prediction.writers.writer import Writer


class Captions(Writer):
    """``captions.txt``, for example ``garden/1.jpg: 2 car, 1 person``.

    Args:
        nothing: stands where nothing was found.
    """

    writes = "captions.txt"

    def __init__(self, nothing: str = "nothing") -> None:
        self.nothing = nothing

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the lines of all images."""
        write_text_atomically(self.path, "".join(f"{image.file}: {self._caption(image)}\n" for image in images))

    def _caption(self, image: PredictedImage) -> str:
        names = Counter(self.run.categories.name(int(label)) for label in image.prediction.labels)
        return ", ".join(f"{number} {name}" for name, number in names.most_common()) or self.nothing
