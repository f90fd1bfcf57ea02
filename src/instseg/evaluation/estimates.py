"""Numbers with their intervals over images: any number that can be measured on images that count several times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.evaluation.chance import MIN_IMAGES
from instseg.evaluation.intervals import draw, interval, resamples_for
from instseg.evaluation.resampling import Measure, Weights


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval of 95 % over images like those that it was measured on; NaN where undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return a text such as ``0.412 (0.380 to 0.443)``."""
        if math.isnan(self.value):
            return "–"
        return f"{self.value:.3f}" if math.isnan(self.low) else f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def draws_for(num_images: int, num_detections: int) -> Weights:
    """Draw images as often as takes seconds; not at all where they are too few for an interval.

    Args:
        num_images: to draw from.
        num_detections: of all images.
    """
    if num_images < MIN_IMAGES:
        return np.zeros((0, num_images), np.int64)
    return draw(num_images, resamples_for(num_detections))


def estimates(measure: Measure, drawn: Weights) -> list[Estimate]:
    """Measure once on all images, each once, and again on every draw of them.

    Args:
        measure: of the numbers.
        drawn: (resamples, images) as ``draws_for`` returns them; without resamples there are no intervals.

    Returns:
        One estimate for each number.
    """
    num_images = drawn.shape[1]
    values = measure(np.ones((1, num_images), np.int64))[0]
    resampled = measure(drawn) if len(drawn) else np.zeros((0, len(values)))
    return [estimate_of(float(value), column, num_images) for value, column in zip(values, resampled.T, strict=True)]


def estimate_of(value: float, resampled: Floats, num_images: int) -> Estimate:
    """Return a number with its interval; without one where no resample is defined.

    Args:
        value: on all images; NaN where undefined.
        resampled: (resamples,) the same on draws of the images.
        num_images: in each.
    """
    if math.isnan(value) or not np.isfinite(resampled).any():
        return Estimate(value, math.nan, math.nan)
    return Estimate(value, *interval(resampled, num_images))


def ratios(over: Floats | NDArray[np.int64], under: Floats | NDArray[np.int64]) -> Floats:
    """Divide counts or sums; NaN where there is nothing to divide by.

    Args:
        over: dividends.
        under: divisors that broadcast to them, 0 or more.
    """
    return np.where(under > 0, over / np.where(under > 0, under, 1), np.nan)


def ratio_of_sums(over: Floats, under: Floats) -> Measure:
    """Return a measure that is a sum over images divided by another, such as a precision; NaN for a divisor of 0.

    Args:
        over: (images, numbers) dividends.
        under: (images, numbers) divisors.
    """

    def measure(weights: Weights) -> Floats:
        divisors = np.asarray(weights @ under, dtype=np.float64)
        ratios = np.full(divisors.shape, np.nan)
        np.divide(weights @ over, divisors, out=ratios, where=divisors != 0)
        return ratios

    return measure
