"""Intervals of what was measured on some images, over images like these, by resampling (bootstrap; Efron, 1979)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from instseg.evaluation.chance import LEVEL

RESAMPLES = 2000
MIN_RESAMPLES, DETECTIONS_DRAWN = 200, 20_000_000
"""The interval of one run is printed at its end: fewer resamples where there are many detections, to take seconds."""


def resamples_for(num_detections: int) -> int:
    """Return how many draws of images with so many detections take seconds."""
    return max(MIN_RESAMPLES, min(RESAMPLES, DETECTIONS_DRAWN // max(num_detections, 1)))


def draw(num_images: int, resamples: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw images with replacement.

    Args:
        num_images: to draw from, and to draw.
        resamples: number of draws.
        seed: the same one gives the same draws, so that a figure can be repeated.

    Returns:
        (resamples, num_images) int64, the number of times that each image is drawn.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_images, np.full(num_images, 1 / num_images), size=resamples)


def interval(resampled: NDArray[np.float64], num_images: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval that holds the true value in ``level`` of cases.

    The percentiles lie a little further out than ``level`` says, because resamples of few images vary too little
    (Hesterberg, 2015, "expanded percentile"). benchmarks/bootstrap_coverage.py measures how often it holds.

    Args:
        resampled: (resamples,) values, NaN where undefined.
        num_images: in each resample.
        level: such as 0.95.
    """
    quantile = stdtrit(num_images - 1, (1 + level) / 2) * math.sqrt(num_images / (num_images - 1))
    outside = float(ndtr(-quantile))
    low, high = np.nanquantile(resampled, [outside, 1 - outside])
    return float(low), float(high)
