"""A picture of an evaluation marks what was found, missed and wrong, by colours, by lines and in words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.outcomes import outcomes_of
from instseg.visualization import labels, outcomes
from instseg.visualization.outcomes import FOUND, MISSED, WRONG, draw_outcomes
from instseg.visualization.text import text_mask

CATEGORIES = Categories(("car", "dog"))
SIZE = (240, 320)
LEFT, MIDDLE, RIGHT = (20, 60, 90, 150), (120, 60, 190, 150), (230, 60, 300, 150)

Box = tuple[int, int, int, int]


def mask(box: Box) -> NDArray[np.uint8]:
    x1, y1, x2, y2 = box
    bitmask = np.zeros(SIZE, np.uint8)
    bitmask[y1:y2, x1:x2] = 1
    return bitmask


def truth(*boxes: Box, numbers: Sequence[int], crowd: Sequence[bool] = ()) -> GroundTruth:
    rles = [bitmask_to_rle(mask(box)) for box in boxes]
    areas = np.array([mask(box).sum() for box in boxes], float)
    iscrowd = np.array(crowd or [False] * len(boxes))
    return GroundTruth(1, SIZE, np.array(boxes, float).reshape(-1, 4), np.array(numbers), areas, iscrowd, rles)


def prediction(*boxes: Box, numbers: Sequence[int]) -> Prediction:
    scores = np.linspace(0.9, 0.6, len(boxes), dtype=np.float32)
    rles = [bitmask_to_rle(mask(box)) for box in boxes]
    return Prediction(1, SIZE, np.array(boxes, np.float32).reshape(-1, 4), np.array(numbers), scores, rles)


def drawn(found: Prediction, annotated: GroundTruth) -> NDArray[np.uint8]:
    image = np.full((*SIZE, 3), 90, np.uint8)
    return draw_outcomes(image, annotated, found, outcomes_of(found, annotated), CATEGORIES, "prediction, epoch 3")


def amount(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).sum(axis=2) < 90).sum())


def test_found_missed_and_wrong_have_their_colours_on_their_side(monkeypatch):
    monkeypatch.setattr(outcomes, "_legend", lambda outcomes: np.full((1, 1, 3), 255, np.uint8))
    picture = drawn(prediction(LEFT, RIGHT, numbers=[1, 1]), truth(LEFT, MIDDLE, numbers=[1, 1]))
    left, right = np.array_split(picture, 2, axis=1)
    assert amount(left, FOUND.colour) and amount(left, MISSED.colour) and not amount(left, WRONG.colour)
    assert amount(right, FOUND.colour) and amount(right, WRONG.colour) and not amount(right, MISSED.colour)


def test_they_are_told_apart_in_words_and_the_legend_counts(monkeypatch):
    written: list[str] = []
    for module in (labels, outcomes):
        monkeypatch.setattr(module, "text_mask", lambda text, px: written.append(text) or text_mask(text, px))
    drawn(prediction(LEFT, RIGHT, numbers=[1, 2]), truth(LEFT, MIDDLE, numbers=[1, 1]))
    on_images, in_legend = ["car", "missed: car", "car 0.90", "wrong: dog 0.60"], ["1 found", "1 missed", "1 wrong"]
    assert sorted(written) == sorted(on_images + in_legend)


def test_they_are_told_apart_without_colours():
    """A found instance is tinted all over, a wrong one in stripes, a missed one not at all, with a broken line."""
    inside = {}
    for name, annotated, found in (("found", 1, 1), ("missed", 1, 2), ("wrong", 2, 1)):
        picture = drawn(prediction(MIDDLE, numbers=[found]), truth(MIDDLE, numbers=[annotated]))
        half = np.array_split(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 2, axis=1)[0 if name == "missed" else 1]
        middle = half.shape[1] // 2
        inside[name] = half[200:240, middle - 40 : middle + 40]
    assert len(np.unique(inside["found"])) == 1 and len(np.unique(inside["missed"])) == 1
    assert inside["found"][0, 0] != inside["missed"][0, 0] == 90
    assert len(np.unique(inside["wrong"])) >= 2


@pytest.mark.parametrize("size", [(40, 3000), (3000, 40), (2000, 3000), (1, 1)])
def test_a_picture_of_any_image_fits_a_screen(size):
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
    annotated = GroundTruth(1, size, *nothing, np.zeros(0), np.zeros(0, bool), [])
    found = Prediction(1, size, nothing[0].astype(np.float32), nothing[1], np.zeros(0, np.float32), [])
    picture = draw_outcomes(np.zeros((*size, 3), np.uint8), annotated, found, outcomes_of(found, annotated), CATEGORIES)
    assert picture.shape[0] <= 1080 and picture.shape[1] <= 1920
    assert picture.shape[0] >= 100 and picture.shape[1] >= 300
