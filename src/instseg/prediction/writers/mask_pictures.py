"""Masks as PNG files of the size of the image: numbered instances, black and white, or in colours on black."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.atomic import replacing
from instseg.core.files import write_json
from instseg.core.text import plural
from instseg.prediction.writers.predicted_image import MAX_8_BIT, LoadedImage, PredictedImage
from instseg.prediction.writers.writer import PredictionRun, Writer
from instseg.visualization.colours import category_colour


class Masks(Writer):
    """Writer of one PNG for each image, whose pixel value k is instance k, and of ``masks.json``.

    Value 1 has the best score and lies on top, 0 is the background. The palette shows each value in a colour of its
    own; programs read the values. An instance that others cover altogether has no pixel, and is not in the json::

        {"image_folder": str,
         "images": {<file, relative to image_folder>: {
             "mask": <path relative to masks.json>,
             "instances": [{"value": int, "category": str, "score": float}, …]}}}
    """

    writes = "masks"

    def start(self, run: PredictionRun) -> None:
        """Start with no visible values."""
        super().start(run)
        self.visible: dict[str, set[int]] = {}

    def add(self, image: LoadedImage) -> None:
        """Write the mask of an image."""
        self.visible[image.file] = set(np.unique(image.values).tolist())
        _write_png(self.path / f"{image.stem}.png", numbered_mask(image))

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write ``masks.json``."""
        entries = {image.file: self._entry(image) for image in images}
        write_json(self.path / "masks.json", {"image_folder": str(self.run.image_folder), "images": entries}, indent=1)
        if crowded := sum(len(image.prediction) > MAX_8_BIT for image in images):
            self.notes.append(f"16-bit gray, no colours: {plural(crowded, 'mask')} of more than {MAX_8_BIT} instances")

    def _entry(self, image: PredictedImage) -> dict[str, object]:
        values = sorted(self.visible[image.file] - {0})
        labels, scores = image.prediction.labels, image.prediction.scores
        instances = [
            {"value": v, "category": self.run.categories.name(int(labels[v - 1])), "score": float(scores[v - 1])}
            for v in values
        ]
        return {"mask": f"{image.stem}.png", "instances": instances}


def numbered_mask(image: LoadedImage) -> PilImage.Image:
    """Return the mask of an image whose pixel value k is instance k, with a palette where 8 bits are enough."""
    mask = PilImage.fromarray(image.values)
    if image.values.dtype == np.uint8:
        mask.putpalette(_colours(MAX_8_BIT).tobytes())
    return mask


class BinaryMasks(Writer):
    """Writer of one PNG for each image: 255 on any instance, 0 elsewhere."""

    writes = "binary"

    def add(self, image: LoadedImage) -> None:
        """Write the mask of an image."""
        white = (image.values > 0).astype(np.uint8) * np.uint8(255)
        _write_png(self.path / f"{image.stem}.png", PilImage.fromarray(white))


class ColouredMasks(Writer):
    """Writer of one RGB PNG for each image: instances on black, in the colours of their values in ``masks``."""

    writes = "rgb"

    def add(self, image: LoadedImage) -> None:
        """Write the mask of an image."""
        coloured = _colours(len(image.prediction))[image.values]
        _write_png(self.path / f"{image.stem}.png", PilImage.fromarray(coloured))


def _colours(num_instances: int) -> NDArray[np.uint8]:
    """Return (num_instances + 1, 3) RGB: black, and a colour for every value."""
    return np.array([(0, 0, 0), *map(category_colour, range(1, num_instances + 1))], np.uint8)


def _write_png(path: Path, picture: PilImage.Image) -> None:
    with replacing(path) as scratch:
        picture.save(scratch, "PNG", compress_level=3)
