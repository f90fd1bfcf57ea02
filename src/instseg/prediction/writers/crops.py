"""Instances cut out of their images, on nothing."""

from __future__ import annotations

import numpy as np

from instseg.core.masks import rle_to_crop
from instseg.core.windows import Window
from instseg.prediction.writers.instance_files import instance_files
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.sheets import write_image

OPAQUE = 255


class Crops(Writer):
    """Writer of ``crops/<image>/01_car_0.98.png``, …: the box of an instance, transparent around its mask."""

    writes = "crops"

    def add(self, image: LoadedImage) -> None:
        """Write a picture (H, W, 4) of each instance of an image."""
        names = instance_files(image.prediction, self.run.categories)
        for name, rle in zip(names, image.prediction.rles, strict=True):
            mask, (left, top) = rle_to_crop(rle)
            pixels = image.cut(Window(left, top, left + mask.shape[1], top + mask.shape[0]))
            crop = np.concatenate([pixels, mask[:, :, None] * np.uint8(OPAQUE)], axis=2)
            write_image(self.path / image.stem / f"{name}.png", crop)
