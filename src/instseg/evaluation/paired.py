"""Numbers of several runs on the same images, and their differences, each with its interval (paired bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instseg.core.arrays import Floats
from instseg.evaluation.chance import is_beyond_chance
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.resampling import Measure, Weights


@dataclass(frozen=True, slots=True)
class Paired:
    """One number of two or more runs."""

    values: list[Estimate]
    """Of each run."""
    differences: list[Estimate]
    """Of each run but the first: its number less that of the first."""


def paired(measures: Sequence[Measure], drawn: Weights) -> list[Paired]:
    """Measure every run on the same draws of the images.

    Args:
        measures: of each run, the same numbers.
        drawn: draws of the images, as ``draws_for`` returns them.

    Returns:
        One for each number.
    """

    def measure(weights: Weights) -> Floats:
        values = np.stack([of_run(weights) for of_run in measures], axis=1)  # (R, runs, numbers)
        return np.concatenate([values, values[:, 1:] - values[:, :1]], axis=1).reshape(len(weights), -1)

    flat = estimates(measure, drawn)
    num_runs = len(measures)
    num_numbers = len(flat) // (2 * num_runs - 1)
    columns = (flat[number::num_numbers] for number in range(num_numbers))
    return [Paired(column[:num_runs], column[num_runs:]) for column in columns]


def is_clear(difference: Estimate) -> bool:
    """Tell whether a difference is beyond chance."""
    return is_beyond_chance(difference.low, difference.high)
