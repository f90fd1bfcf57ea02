"""Subject of an analysis: evaluated images, their files, and the thresholds in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Image, ValueRange
from instseg.data.index.columns import Index
from instseg.data.reading.images import read_image
from instseg.evaluation.evaluated import EvaluatedImages


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The file of an image."""

    name: str
    """Below the root of the data."""
    path: Path
    rotate: bool = True
    """Turn it by its EXIF orientation."""
    value_range: ValueRange | None = None
    """See ``read_image``."""

    @classmethod
    def of(cls, index: Index, image_id: int) -> ImageFile:
        """Return the file of an image of an index.

        Args:
            index: of a split.
            image_id: of the image.
        """
        at = index.index_of(image_id)
        return cls(index.file_name(at), index.path(at), index.rotate(at), index.value_range)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Evaluated images with their files."""

    evaluated: EvaluatedImages
    file_of: Callable[[int], ImageFile]
    """image_id -> its file."""
    thresholds: NDArray[np.float64]  # (C,) least score of each category
    scores_before: Sequence[NDArray[np.float32]] | None = None
    """Scores of each image before they were recalibrated; None where they were not."""

    def file(self, image: int) -> ImageFile:
        """Return the file of an evaluated image, given by its position."""
        return self.file_of(self.evaluated.truths[image].image_id)

    def read_image(self, image: int) -> Image:
        """Read the pixels of an evaluated image.

        Raises:
            InstsegError: the file cannot be read.
        """
        file = self.file(image)
        return read_image(file.path, file.rotate, file.value_range)
