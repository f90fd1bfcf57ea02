"""Images with masks, boxes, names and scores drawn over them."""

from __future__ import annotations

from instseg.core.categories import Categories
from instseg.core.types import Image
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_prediction
from instseg.visualization.sheets import write_image

MAX_JPEG_SIDE_PX = 65_000


def overlay(image: LoadedImage, categories: Categories, colour_by: ColourBy) -> Image:
    """Return an image, uint8 RGB, with its instances drawn over it; a small one is enlarged.

    Args:
        image: and what was found on it.
        categories: names of the labels.
        colour_by: instance or category.
    """
    return draw_prediction(image.pixels, image.prediction, categories, 0.0, colour_by)


class Overlays(Writer):
    """Writer of ``overlays/<image>.jpg``; PNG where JPEG allows no such size.

    Args:
        colour_by: instance or category.
    """

    writes = "overlays"

    def __init__(self, colour_by: ColourBy = "instance") -> None:
        self.colour_by = colour_by

    def add(self, image: LoadedImage) -> None:
        """Write the overlay of an image."""
        drawn = overlay(image, self.run.categories, self.colour_by)
        extension = ".png" if max(drawn.shape) > MAX_JPEG_SIDE_PX else ".jpg"
        write_image(self.path / f"{image.stem}{extension}", drawn)
