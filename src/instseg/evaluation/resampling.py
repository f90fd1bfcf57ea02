"""Measures under weights: numbers of images that count several times, taken of a few weightings at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats

Weights = NDArray[np.int64]
"""(resamples, images), the number of times each image counts."""
Measure = Callable[[Weights], Floats]
"""Returns (resamples, …) for weights (resamples, images); NaN where undefined."""
CHUNK = 4_000_000  # numbers in the largest arrays, 32 MB each


def in_parts(measure: Measure, weights: Weights, size: int) -> Floats:
    """Measure under many weightings, as many at once as memory allows.

    Args:
        measure: of some weightings.
        weights: all of them.
        size: numbers in the largest array that the measure makes of one weighting.
    """
    step = max(1, CHUNK // max(size, weights.shape[1], 1))
    parts = range(0, max(len(weights), 1), step)
    return np.concatenate([measure(weights[start : start + step]) for start in parts])
