"""Images with masks, boxes, names and scores drawn over them."""

from __future__ import annotations

from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_prediction
from instseg.visualization.sheets import write_image

MAX_JPEG_SIDE_PX = 65_000


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
        drawn = draw_prediction(image.pixels, image.prediction, self.run.categories, 0.0, self.colour_by)
        extension = ".png" if max(drawn.shape) > MAX_JPEG_SIDE_PX else ".jpg"
        write_image(self.path / f"{image.stem}{extension}", drawn)
