"""Images with masks, boxes, names and scores drawn over them."""

from __future__ import annotations

from instseg.core.categories import Categories
from instseg.core.types import Image
from instseg.prediction.writers.predicted_image import OVERVIEW_PX, LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_prediction
from instseg.visualization.sheets import write_image

MAX_JPEG_SIDE_PX = 65_000
SHRUNK = (
    f"overlays of images that were read by windows are shrunk to {OVERVIEW_PX} px; save=[instances] and save=[crops] "
    "show each object in its own pixels"
)


def overlay(image: LoadedImage, categories: Categories, colour_by: ColourBy) -> Image:
    """Return an image, uint8 RGB, with its instances drawn over it; a small one is enlarged, a large one shrunk.

    Args:
        image: and what was found on it.
        categories: names of the labels.
        colour_by: instance or category.
    """
    return draw_prediction(*image.overview, categories, 0.0, colour_by)


class Overlays(Writer):
    """Writer of ``overlays/<image>.jpg``; PNG where JPEG allows no such size. Images read by windows are shrunk.

    Args:
        colour_by: instance or category.
    """

    writes = "overlays"

    def __init__(self, colour_by: ColourBy = "instance") -> None:
        self.colour_by = colour_by

    def add(self, image: LoadedImage) -> None:
        """Write the overlay of an image."""
        drawn = overlay(image, self.run.categories, self.colour_by)
        if image.is_shrunk and SHRUNK not in self.notes:
            self.notes.append(SHRUNK)
        extension = ".png" if max(drawn.shape) > MAX_JPEG_SIDE_PX else ".jpg"
        write_image(self.path / f"{image.stem}{extension}", drawn)
