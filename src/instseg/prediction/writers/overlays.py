"""Images with masks, boxes, names and scores drawn over them."""

from __future__ import annotations

from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.draw import draw_prediction
from instseg.visualization.sheets import write_image

MAX_JPEG_SIDE_PX = 65_000


class Overlays(Writer):
    """Writer of ``overlays/<image>.jpg``; PNG where JPEG allows no such size."""

    writes = "overlays"

    def add(self, image: LoadedImage) -> None:
        """Write the overlay of an image."""
        drawn = draw_prediction(image.pixels, image.prediction, self.run.categories, score_threshold=0.0)
        extension = ".png" if max(drawn.shape) > MAX_JPEG_SIDE_PX else ".jpg"
        write_image(self.path / f"{image.stem}{extension}", drawn)
