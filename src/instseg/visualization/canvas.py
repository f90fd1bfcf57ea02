"""A picture that instances are painted on: masks, then boxes, then names, so that no mask covers a name.

Pictures smaller than MIN_SIDE_PX are enlarged first, and lines and letters grow with the picture, so that all of it can
be read. Masks are blended inside their own box, so the cost follows the drawn area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Bitmask, Image, ImageSize
from instseg.visualization.colours import Colour
from instseg.visualization.labels import LabelPlacer
from instseg.visualization.scaling import resized
from instseg.visualization.text import crowding, letter_px, line_px

MIN_SIDE_PX = 640
"""The longer side of a drawn picture has at least this, up to 1.4 times as much where many names need room."""
OPACITY = 0.3
"""Of a mask: its instance's texture is seen through it."""
MAX_BOXES = 10
"""Instances up to which their boxes are drawn, too; the boxes of more hide more than they show."""
DASH = 4  # in widths of the line
Points = NDArray[np.integer | np.floating]
CELLS = 512
"""Longer side of the map of what instances cover, by which names find their places."""


class Look(Enum):
    """Ways to draw an instance, which can be told apart without their colours."""

    SOLID = "tinted, with a line around it"
    DASHED = "a dashed line, nothing inside"
    HATCHED = "stripes, with a line around them"


@dataclass(slots=True)
class Shape:
    """Instance that is ready to be painted, in pixels of the picture."""

    box: NDArray[np.float64]  # (4,) xyxy
    mask: Bitmask  # (h, w), only its own part of the picture
    corner: tuple[int, int]  # x, y of mask[0, 0]
    colour: Colour
    text: str
    look: Look = Look.SOLID
    has_box: bool = True


class Canvas:
    """Copy of an image that is painted on.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        num_instances: number of instances to come.
        size: height and width of the picture; None: those of the image, enlarged where it is small.
    """

    def __init__(self, image: Image, num_instances: int, size: ImageSize | None = None) -> None:
        own = image.shape[0], image.shape[1]
        height, width = size or _readable_size(own, num_instances)
        self.scale = max(height / own[0], width / own[1])
        self.pixels = image.copy() if (height, width) == own else resized(image, (height, width))
        self.letter_px = letter_px((height, width), num_instances)
        self.line = line_px((height, width), num_instances)
        self.has_boxes = num_instances <= MAX_BOXES
        cells = min(1.0, CELLS / max(height, width))
        self.covered = np.zeros((max(1, round(height * cells)), max(1, round(width * cells))), np.uint8)

    def paint(self, shapes: Iterable[Shape]) -> Image:
        """Paint instances, one mask at a time, and return the picture; names find their places in the same order."""
        drawn = []
        for shape in shapes:
            left, top = shape.corner
            shape.mask = shape.mask[: max(self.pixels.shape[0] - top, 0), : max(self.pixels.shape[1] - left, 0)]
            self._paint_mask(shape)
            self._cover(shape)
            area = float(np.count_nonzero(shape.mask))
            shape.mask = shape.mask[:0]  # it is painted now: never hold N of them
            drawn.append((shape, area))
        for shape, _ in drawn:
            if shape.has_box and self.has_boxes:
                self._draw_box(shape)
        placer = LabelPlacer(self.pixels, self.covered, self.letter_px)
        for shape, area in drawn:
            if shape.text:
                placer.write(shape.box, shape.text, shape.colour, (shape.colour, shape.look), area)
        return self.pixels

    def _cover(self, shape: Shape) -> None:
        """Note which cells the instance covers."""
        if shape.mask.size == 0:
            return
        (left, top), (height, width) = shape.corner, shape.mask.shape
        across, down = self.covered.shape[1] / self.pixels.shape[1], self.covered.shape[0] / self.pixels.shape[0]
        x1, y1 = int(left * across), int(top * down)
        x2, y2 = max(x1 + 1, math.ceil((left + width) * across)), max(y1 + 1, math.ceil((top + height) * down))
        part = self.covered[y1:y2, x1:x2]
        small = cv2.resize(shape.mask, part.shape[::-1], interpolation=cv2.INTER_NEAREST)
        np.maximum(part, small, out=part)

    def _paint_mask(self, shape: Shape) -> None:
        if shape.mask.size == 0:
            return
        (left, top), (height, width) = shape.corner, shape.mask.shape
        region = self.pixels[top : top + height, left : left + width]
        mask = shape.mask
        if shape.look is Look.HATCHED:
            period = 6 * self.line + 2
            mask = mask * ((np.add.outer(np.arange(height), np.arange(width)) % period) < period // 2)
        if shape.look is not Look.DASHED:
            tint = np.rint(np.array(shape.colour) * OPACITY).astype(np.uint8)
            blended = cv2.add(cv2.convertScaleAbs(region, alpha=1 - OPACITY), np.broadcast_to(tint, region.shape))
            cv2.copyTo(blended, mask.astype(np.uint8, copy=False), region)
        self._draw_contour(shape)

    def _draw_contour(self, shape: Shape) -> None:
        """Draw a mask's contour, with a dark rim that keeps it crisp on a background of its colour."""
        contours, _ = cv2.findContours(shape.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=shape.corner)
        is_closed = shape.look is not Look.DASHED
        lines = [np.asarray(contour) for contour in contours]
        if not is_closed:
            lines = [dash for line in lines for dash in self._dashes(line)]
        red, green, blue = shape.colour
        dark: Colour = (red // 2, green // 2, blue // 2)
        for colour, thickness in ((dark, self.line + max(1, self.line // 3)), (shape.colour, self.line)):
            cv2.polylines(self.pixels, lines, is_closed, colour, thickness, cv2.LINE_AA)

    def _dashes(self, contour: Points) -> list[Points]:
        """Cut a contour of neighbouring pixels into dashes, a whole number of them."""
        length = DASH * self.line + 1
        count = max(1, round(len(contour) / (2 * length)))
        edges = np.linspace(0, len(contour), 2 * count + 1).astype(int)
        return [contour[start : end + 1] for start, end in zip(edges[:-1:2], edges[1::2], strict=True)]

    def _draw_box(self, shape: Shape) -> None:
        """Draw a thin box just inside its pixels, so that one that fills the picture is seen whole."""
        line = max(1, self.line // 2)
        height, width = self.pixels.shape[:2]
        x1, y1, x2, y2 = (round(v) for v in shape.box)
        x1, y1 = max(x1, 0) + line // 2, max(y1, 0) + line // 2
        x2, y2 = max(min(x2, width) - 1 - line // 2, x1), max(min(y2, height) - 1 - line // 2, y1)
        cv2.rectangle(self.pixels, (x1, y1), (x2, y2), shape.colour, line)


def _readable_size(size: ImageSize, num_instances: int) -> ImageSize:
    scale = max(1.0, MIN_SIDE_PX / crowding(num_instances) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
