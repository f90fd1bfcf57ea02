"""The list and the contact sheets of the images to label next, as writers beside those of the pre-labels."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.analysis.next_images.reasons import COLUMNS, Reason
from instseg.core.types import Image
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.tables import write_rows
from instseg.prediction.writers.writer import PredictionRun, Writer
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_prediction
from instseg.visualization.scaling import resized
from instseg.visualization.sheets import contact_sheet, fit, tile_size, write_image

NUM_COLUMNS, IMAGES_A_SHEET = 4, 12
MAX_SHEETS = 25
"""Of the images after these there is the list alone."""


class NextList(Writer):
    """Writer of ``next_images.csv``: the images, most useful first, each with the reason.

    Args:
        reasons: of the images, in their order.
    """

    writes = "next_images.csv"

    def __init__(self, reasons: Sequence[Reason]) -> None:
        self.reasons = reasons

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the list."""
        ids = [image.prediction.image_id for image in images]
        rows = (self.reasons[number - 1].row(number, image.file) for number, image in zip(ids, images, strict=True))
        write_rows(self.path, COLUMNS, rows)


class Sheets(Writer):
    """Writer of ``sheets/``: the images in their order, with what is found on them, some on a sheet.

    Args:
        reasons: of the images, in their order.
        colour_by: instance or category.
    """

    writes = "sheets"

    def __init__(self, reasons: Sequence[Reason], colour_by: ColourBy) -> None:
        self.reasons, self.colour_by = reasons, colour_by

    def start(self, run: PredictionRun) -> None:
        """Begin without pictures."""
        super().start(run)
        self._tile = tile_size(IMAGES_A_SHEET, NUM_COLUMNS)
        self._pictures: dict[int, Image] = {}

    def add(self, image: LoadedImage) -> None:
        """Draw the image in the size of the sheet, and write the sheets that are whole."""
        number = image.prediction.image_id
        if number <= MAX_SHEETS * IMAGES_A_SHEET:
            drawn = draw_prediction(image.pixels, image.prediction, self.run.categories, 0.0, self.colour_by)
            size, _ = fit((drawn.shape[0], drawn.shape[1]), self._tile)
            self._pictures[number] = resized(drawn, size)

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the sheets."""
        names = {image.prediction.image_id: image.file for image in images}
        numbers = sorted(self._pictures)
        for start in range(0, len(numbers), IMAGES_A_SHEET):
            chosen = numbers[start : start + IMAGES_A_SHEET]
            captions = [f"{number}. {names[number]}" for number in chosen]
            sheet = contact_sheet([self._pictures[number] for number in chosen], NUM_COLUMNS, self._tile, captions)
            write_image(self.path / f"{chosen[0]:03d}-{chosen[-1]:03d}.jpg", sheet)
