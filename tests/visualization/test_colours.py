"""Instances have shades of their category's hue: neighbours differ, and the category can be told."""

from __future__ import annotations

import colorsys
from itertools import combinations, pairwise

import numpy as np
import pytest

from instseg.visualization.colours import SHADES, category_colour, instance_colours

MAX_TURN = 0.04  # of the hue, a circle of 1


def hue_of(colour: tuple[int, int, int]) -> float:
    return colorsys.rgb_to_hls(*(part / 255 for part in colour))[0]


def row_of_boxes(count: int) -> np.ndarray:
    left = np.arange(count) * 20.0
    return np.stack([left, np.zeros(count), left + 20, np.full(count, 20.0)], axis=1)


@pytest.mark.parametrize("label", [1, 2, 7, 12, 20, 33])
def test_a_shade_keeps_the_hue_of_its_category(label):
    colours = instance_colours(np.full(30, label), np.tile([[0.0, 0, 9, 9]], (30, 1)))  # all are neighbours
    turns = [abs(hue_of(colour) - hue_of(category_colour(label))) for colour in colours]
    assert max(min(turn, 1 - turn) for turn in turns) <= MAX_TURN
    assert len(set(colours)) == len(SHADES)


@pytest.mark.parametrize("label", [1, 2, 3, 9, 17])
def test_neighbours_of_one_category_are_told_apart(label):
    colours = np.array(instance_colours(np.full(12, label), row_of_boxes(12)), float)
    assert min(np.abs(a - b).sum() for a, b in pairwise(colours)) > 60
    four = np.array(instance_colours(np.full(4, label), np.tile([[0.0, 0, 9, 9]], (4, 1))), float)
    assert min(np.abs(a - b).sum() for a, b in combinations(four, 2)) > 40


def test_a_lone_instance_has_the_colour_of_its_category_and_by_category_all_have():
    labels = np.array([3, 1, 3])
    boxes = np.array([[0.0, 0, 10, 10], [5, 5, 20, 20], [8, 0, 15, 10]])
    shaded = instance_colours(labels, boxes)
    assert shaded[:2] == [category_colour(3), category_colour(1)] and shaded[2] != category_colour(3)
    assert instance_colours(labels, boxes, "category") == [category_colour(int(label)) for label in labels]
    assert instance_colours(np.zeros(0, np.int64), np.zeros((0, 4))) == []


def test_colours_are_bright_and_no_two_of_the_first_forty_are_alike():
    colours = [category_colour(label) for label in range(1, 41)]
    assert colours == [category_colour(label) for label in range(1, 41)]
    assert all(max(colour) > 120 and all(0 <= channel <= 255 for channel in colour) for colour in colours)
    distances = [
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for i, one in enumerate(colours)
        for other in colours[:i]
    ]
    assert min(distances) > 15
