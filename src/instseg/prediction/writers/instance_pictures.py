"""One picture for each instance: its place in the image and a close-up, under its category and score."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from instseg.core.masks import rle_to_box, rle_to_crop
from instseg.core.polygons import pixel_polygons
from instseg.core.types import Image, Polygon
from instseg.core.windows import Window
from instseg.prediction.writers.instance_files import instance_files
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import Colour, category_colour
from instseg.visualization.sheets import write_image

WIDTH_PX, HEIGHT_PX, DPI = 1080, 600, 100
"""Size of every picture, for any size of the image: the text is equally large in all of them."""
TOP_PX, GAP_PX = 76, 8  # for the letters; around the panels
WHOLE_PX, CLOSE_UP_PX = 620, 436  # widths of the panels
MAX_LETTERS, MAX_LETTERS_BELOW = 60, 140  # in the category; in the line below it
CLOSE_UP_MARGIN = 0.2  # fraction of the longer side of the instance, on every side
MIN_CLOSE_UP_PX = 24  # of the image
BRIGHTNESS_AROUND = 0.55
SUBPIXEL_BITS = 4  # of the coordinates that OpenCV draws at


class InstancePictures(Writer):
    """Writer of ``instances/<image>/01_car_0.98.jpg``, … in the order of the scores."""

    writes = "instances"

    def add(self, image: LoadedImage) -> None:
        """Write a picture of each instance of an image."""
        found = image.prediction
        sheet = _Sheet(image)
        files = instance_files(found, self.run.categories)
        instances = zip(found.labels, found.scores, found.rles, files, strict=True)
        for number, (label, score, rle, file) in enumerate(instances, start=1):
            name = self.run.categories.name(int(label))
            top = f"{name[:MAX_LETTERS]}  {score:.2f}", f"{number} of {len(found)} in {image.file}"
            crop, corner = rle_to_crop(rle)
            polygons = [polygon + corner for polygon in pixel_polygons(crop)]
            drawn = sheet.draw(polygons, rle_to_box(rle), category_colour(int(label)), *top)
            write_image(self.path / image.stem / f"{file}.jpg", drawn)


class _Sheet:
    """A page that is drawn for each instance of an image: text by matplotlib, and two panels below it."""

    def __init__(self, image: LoadedImage) -> None:
        figure = Figure(figsize=(WIDTH_PX / DPI, TOP_PX / DPI), dpi=DPI)
        self.canvas = FigureCanvasAgg(figure)
        left = GAP_PX / WIDTH_PX
        self.title = figure.text(left, 0.88, "", size=21, weight="bold", va="top", parse_math=False)
        self.below = figure.text(left, 0.35, "", size=10.5, color="0.35", va="top", parse_math=False)
        self.image, (height, width) = image, image.prediction.image_size
        self.region = np.array([0, 0, width, height])
        self.small = _fitted(image.overview[0], WHOLE_PX)

    def draw(
        self, polygons: Sequence[Polygon], box: NDArray[np.float64], colour: Colour, title: str, below: str
    ) -> Image:
        """Draw an instance, given in px of the image, in its own colours, with all else darker and gray."""
        region = _close_up(box, self.region)
        x1, y1, x2, y2 = map(int, region)
        close_up = _fitted(self.image.cut(Window(x1, y1, x2, y2)), CLOSE_UP_PX)
        page = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
        page[:TOP_PX] = self._letters(title, below)
        _place(page, _highlighted(self.small, self.region, polygons, colour), GAP_PX, WHOLE_PX)
        _place(page, _highlighted(close_up, region, polygons, colour), WHOLE_PX + 2 * GAP_PX, CLOSE_UP_PX)
        return page

    def _letters(self, title: str, below: str) -> Image:
        self.title.set_text(_one_line(title))
        self.below.set_text(_one_line(below))
        self.canvas.draw()
        return np.asarray(self.canvas.buffer_rgba())[..., :3]


def _place(page: Image, panel: Image, left: int, room_px: int) -> None:
    """Paste a panel below the text, centred in its space."""
    height, width = panel.shape[:2]
    left += (room_px - width) // 2
    page[TOP_PX : TOP_PX + height, left : left + width] = panel


def _one_line(text: str) -> str:
    """Return the text with spaces for line breaks and unprintable characters, cut to the width of the page."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_LETTERS_BELOW])


def _highlighted(part: Image, region: NDArray[np.int64], polygons: Sequence[Polygon], colour: Colour) -> Image:
    """Gray out all but the polygons of a picture that shows the ``region`` (xyxy) of the image at any size."""
    scale = np.array(part.shape[1::-1]) / (region[2:] - region[:2])
    points = [np.rint(((p - region[:2]) * scale - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32) for p in polygons]
    inside = cv2.fillPoly(np.zeros(part.shape[:2], np.uint8), points, 255, cv2.LINE_AA, SUBPIXEL_BITS)
    gray = cv2.convertScaleAbs(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), alpha=BRIGHTNESS_AROUND)
    picture = np.where(inside[..., None] > 0, part, gray[..., None]).astype(np.uint8)
    for width, tint in ((4, (0, 0, 0)), (2, colour)):
        cv2.polylines(picture, points, True, tint, width, cv2.LINE_AA, SUBPIXEL_BITS)
    return picture


def _close_up(box: NDArray[np.float64], whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the square around a box with its margin, clipped to the image."""
    centre = (box[:2] + box[2:]) / 2
    half = max(float((box[2:] - box[:2]).max()) * (0.5 + CLOSE_UP_MARGIN), MIN_CLOSE_UP_PX / 2)
    square = np.concatenate([np.floor(centre - half), np.ceil(centre + half)])
    inside: NDArray[np.int64] = np.clip(square, np.tile(whole[:2], 2), np.tile(whole[2:], 2)).astype(np.int64)
    return inside


def _fitted(part: Image, width_px: int) -> Image:
    """Return the image, scaled to the largest size that fits a panel."""
    scale = min((HEIGHT_PX - TOP_PX - GAP_PX) / part.shape[0], width_px / part.shape[1])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8)
