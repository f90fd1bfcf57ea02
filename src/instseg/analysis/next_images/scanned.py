"""The uncertainty and the features of many images, kept while they are computed: a pass that was interrupted resumes.

``<folder>/00012.json`` holds some images each, with the model that looked at them and the state of each file, so that
nothing is taken over from another model or another image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from instseg.analysis.next_images.uncertainty import Uncertainty
from instseg.core.file_states import stamp_of
from instseg.core.files import mark_as_cache
from instseg.core.records import Record, RecordError, read_record, write_record

IMAGES_A_FILE = 32
REMEDY = "remove the file, and its images are looked at again"


class ScannedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a model has looked at."""

    path: str  # absolute
    stamp: str  # of its file
    num_detections: int
    scores: float
    masks: float
    features: bytes  # float16

    @classmethod
    def of(cls, path: Path, found: Uncertainty, features: NDArray[np.float32]) -> ScannedImage:
        """Return what is known of an image.

        Args:
            path: of the image.
            found: the uncertainty about it.
            features: (D,).
        """
        limit = float(np.finfo(np.float16).max)
        return cls(
            path=str(path.absolute()),
            stamp=stamp_of(path),
            num_detections=found.num_detections,
            scores=found.scores,
            masks=found.masks,
            features=np.clip(features, -limit, limit).astype(np.float16).tobytes(),
        )

    @property
    def uncertainty(self) -> Uncertainty:
        """The uncertainty about it."""
        return Uncertainty(self.num_detections, self.scores, self.masks)


class ScannedImages(Record, frozen=True, kw_only=True):
    """The content of one file."""

    model: str
    images: list[ScannedImage]


class Scan:
    """The images that one model has looked at, in a folder of files.

    Args:
        folder: need not exist.
        model: a text that changes with whatever changes its predictions.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self._new: list[ScannedImage] = []
        self.images = self._read()

    def knows(self, path: Path) -> bool:
        """Tell whether the model has looked at an image as it is now."""
        found = self.images.get(str(path.absolute()))
        return found is not None and found.stamp == stamp_of(path)

    def of(self, paths: Sequence[Path]) -> list[ScannedImage]:
        """Return the images of these files, in their order."""
        return [self.images[str(path.absolute())] for path in paths]

    def add(self, image: ScannedImage) -> None:
        """Add an image; many together are written."""
        self.images[image.path] = image
        self._new.append(image)
        if len(self._new) >= IMAGES_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what has been added."""
        if self._new:
            mark_as_cache(self.folder)
            number = max((int(file.stem) for file in self._files()), default=0) + 1
            write_record(self.folder / f"{number:05d}.json", ScannedImages(model=self.model, images=self._new))
            self._new = []

    def _read(self) -> dict[str, ScannedImage]:
        """Read what there is of this model; files of another one, and damaged ones, are removed."""
        images: dict[str, ScannedImage] = {}
        for file in self._files():
            try:
                read = read_record(file, ScannedImages, REMEDY)
            except RecordError:
                read = None
            if read is None or read.model != self.model:
                file.unlink()
            else:
                images |= {image.path: image for image in read.images}
        return images

    def _files(self) -> list[Path]:
        return sorted(file for file in self.folder.glob("*.json") if file.stem.isdecimal())


def features_of(images: Sequence[ScannedImage]) -> NDArray[np.float32]:
    """Return the features (N, D) of images."""
    if not images:
        return np.zeros((0, 0), np.float32)
    return np.stack([np.frombuffer(image.features, np.float16) for image in images]).astype(np.float32)
