"""When a difference is beyond chance, and how that is said everywhere."""

from __future__ import annotations

import math

import pytest

from instseg.evaluation.chance import (
    bonferroni,
    how_uncertain,
    is_beyond_chance,
    verdict,
    verdict_of_several,
    widest_error,
)


@pytest.mark.parametrize(
    ("low", "high", "num_trainings", "said"),
    [
        (-0.01, 0.05, 1, "The interval holds 0: this may be chance."),
        (0.0, 0.05, 5, "The interval holds 0: this may be chance."),
        (0.01, 0.05, 1, "Beyond chance on these test images; another training of each may differ."),
        (-0.05, -0.01, 3, "Beyond chance."),
        (math.nan, math.nan, 1, "Without an interval: this may be chance."),
    ],
)
def test_a_difference_is_beyond_chance_where_its_interval_leaves_out_zero(low, high, num_trainings, said):
    assert verdict(low, high, num_trainings) == said
    assert is_beyond_chance(low, high) == said.startswith("Beyond")


def test_of_several_differences_those_beyond_chance_are_named():
    assert verdict_of_several([], is_repeated=True).startswith("None of these is beyond chance.")
    assert verdict_of_several(["a", "b"], is_repeated=True) == "Beyond chance: a, b."
    assert "another training may differ: a." in verdict_of_several(["a"], is_repeated=False)


def test_several_intervals_that_hold_together_are_wider_each():
    assert bonferroni(1) == pytest.approx(0.95) and bonferroni(5) == pytest.approx(0.99)


def test_the_error_of_a_metric_shrinks_with_the_root_of_the_number_of_images():
    assert widest_error(100) == pytest.approx(0.098)
    assert widest_error(400) == pytest.approx(widest_error(100) / 2)
    assert widest_error(1) == 0.5
    assert "AP on 30 images may be off by up to 0.18" in how_uncertain(30)
    assert how_uncertain(1) == "AP on 1 image is mostly chance, and 3 are needed for an interval."
