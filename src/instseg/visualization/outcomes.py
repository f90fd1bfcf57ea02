"""Ground truth beside prediction: what was found, missed and wrong, told apart by colours, lines and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.outcomes import Outcomes
from instseg.core.types import GroundTruth, Image, ImageSize, Prediction, Rle
from instseg.visualization.canvas import Canvas, Look, Shape
from instseg.visualization.colours import Colour
from instseg.visualization.draw import CROWD_COLOUR, check_mask_sizes, joined, large_first, shown_names
from instseg.visualization.scaling import cut_mask
from instseg.visualization.sheets import INK, PAPER, fit, side_by_side, stacked, wrapped
from instseg.visualization.text import text_mask, write_text

PICTURE_LIMIT: ImageSize = (480, 900)
"""Height and width into which each of the two pictures is fitted: both fit a screen."""
MAX_ENLARGEMENT, SMALLEST_PX = 3.0, 320
"""Small images are enlarged so many times, or until their longer side has so many pixels."""
LEGEND_LETTER_PX = 14


@dataclass(frozen=True, slots=True)
class Mark:
    """The way in which instances of one outcome are drawn."""

    word: str
    colour: Colour
    look: Look
    is_named: bool = False  # the word stands before the name, too


FOUND = Mark("found", (0, 190, 110), Look.SOLID)
MISSED = Mark("missed", (255, 176, 0), Look.DASHED, is_named=True)
WRONG = Mark("wrong", (230, 30, 130), Look.HATCHED, is_named=True)
IGNORED = Mark("crowd", CROWD_COLOUR, Look.HATCHED)


def draw_outcomes(
    image: Image,
    truth: GroundTruth,
    prediction: Prediction,
    outcomes: Outcomes,
    categories: Categories,
    caption: str = "prediction",
) -> Image:
    """Draw ground truth and prediction of an image side by side, with a legend that counts.

    Found instances are tinted, missed ones have a dashed line around them, wrong detections are hatched.

    Args:
        image: (H, W, 3) uint8 RGB in the original frame, not changed.
        truth: of this image, in the same frame.
        prediction: the detections to draw, in the same frame.
        outcomes: of both.
        categories: names of the labels.
        caption: text above the prediction.

    Returns:
        A picture that fits a screen.

    Raises:
        InstsegError: a mask has another size than the image.
    """
    true_marks = _marks(outcomes.is_found, outcomes.is_missed, MISSED)
    marks = _marks(outcomes.is_right, outcomes.is_wrong, WRONG)
    names, found = shown_names(truth.labels, categories), shown_names(prediction.labels, categories)
    texts = [joined(name, f"{score:.2f}") for name, score in zip(found, prediction.scores, strict=True)]
    count = max(len(truth), len(prediction))  # letters of one size on both
    left = _draw(image, truth.boxes, truth.rles, true_marks, names, count)
    right = _draw(image, prediction.boxes, prediction.rles, marks, texts, count)
    return stacked([side_by_side(left, right, ("ground truth", caption)), _legend(outcomes)])


def _marks(is_good: NDArray[np.bool_], is_bad: NDArray[np.bool_], bad_mark: Mark) -> list[Mark]:
    return [FOUND if good else bad_mark if bad else IGNORED for good, bad in zip(is_good, is_bad, strict=True)]


def _draw(
    image: Image,
    boxes: NDArray[np.floating],
    rles: Sequence[Rle],
    marks: Sequence[Mark],
    texts: Sequence[str],
    num_instances: int,
) -> Image:
    """Draw instances with their marks, wide images cut into rows."""
    check_mask_sizes(image, rles)
    height, width = image.shape[:2]
    size, rows = fit((height, width), PICTURE_LIMIT)
    scale = max(MAX_ENLARGEMENT, SMALLEST_PX / max(height, width))
    size = min(size, (round(height * scale), round(width * scale)))
    canvas = Canvas(image, num_instances, size)

    def shape(i: int) -> Shape:
        mark, (mask, corner) = marks[i], cut_mask(rles[i], canvas.scale)
        text = joined(f"{mark.word}:" if texts[i] else mark.word, texts[i]) if mark.is_named else texts[i]
        box = np.asarray(boxes[i], np.float64) * canvas.scale
        return Shape(box, mask, corner, mark.colour, text, mark.look, has_box=False)

    return wrapped(canvas.paint(shape(i) for i in large_first(boxes)), rows)


def _legend(outcomes: Outcomes) -> Image:
    """Draw a strip with a sample of each mark and its count."""
    counts = {FOUND: outcomes.is_found, MISSED: outcomes.is_missed, WRONG: outcomes.is_wrong}
    return np.concatenate([_entry(mark, int(those.sum())) for mark, those in counts.items()], axis=1)


def _entry(mark: Mark, count: int) -> Image:
    """Draw a small instance as it is drawn on images, and beside it the count and the word of its mark."""
    side = LEGEND_LETTER_PX
    letters = text_mask(f"{count} {mark.word}", side)
    paper = np.full((2 * side, 4 * side + letters.shape[1], 3), PAPER, np.uint8)
    write_text(paper, letters, (3 * side, (2 * side - letters.shape[0]) // 2), INK)
    box, mask = np.array([side / 2, side / 2, 2.5 * side, 1.5 * side]), np.ones((side, 2 * side), np.uint8)
    sample = Shape(box, mask, (side // 2, side // 2), mark.colour, "", mark.look, has_box=False)
    return Canvas(paper, 1, (paper.shape[0], paper.shape[1])).paint([sample])
