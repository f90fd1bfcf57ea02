"""Recalibration of scores: monotone functions that make a score the fraction of detections that are right.

Each is a few numbers, fitted on images that the network was not trained on, and applied to any scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from instseg.evaluation.calibration import Scored, expected_error

MARGIN = 1e-6  # of scores to 0 and 1, whose logits are infinite
TEMPERATURES = 0.05, 20.0
NUM_FOLDS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Temperature:
    """Division of the logit of a score by one number (Guo et al., 2017); ranks stay as they are."""

    temperature: float

    def __call__(self, scores: Floats) -> Floats:
        """Return the recalibrated scores, of any shape, 0 to 1."""
        recalibrated: Floats = expit(_logits(scores) / self.temperature)
        return recalibrated


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Line through points that never falls (Zadrozny & Elkan, 2002); scores between level points become equal."""

    scores: tuple[float, ...]  # ascending
    fractions: tuple[float, ...]  # of detections that are right, not descending

    def __call__(self, scores: Floats) -> Floats:
        """Return the recalibrated scores, of any shape, 0 to 1."""
        return np.interp(scores, self.scores, self.fractions)


Recalibration = Temperature | Isotonic
Fit = Callable[[Floats, NDArray[np.bool_]], Recalibration]


def fit_temperature(scores: Floats, is_right: NDArray[np.bool_]) -> Temperature:
    """Fit the temperature by maximum likelihood, from 1/20 to 20; 1 where there is no detection.

    Args:
        scores: (D,) 0 to 1.
        is_right: (D,).
    """
    if not len(scores):
        return Temperature(1.0)
    signed = np.where(is_right, 1.0, -1.0) * _logits(scores)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(found.x)))


def fit_isotonic(scores: Floats, is_right: NDArray[np.bool_]) -> Isotonic:
    """Fit the fractions by least squares (pool adjacent violators); the identity where there is no detection.

    Args:
        scores: (D,) 0 to 1.
        is_right: (D,).
    """
    if not len(scores):
        return Isotonic((0.0, 1.0), (0.0, 1.0))
    distinct, places = np.unique(scores, return_inverse=True)
    blocks: list[tuple[float, float, int]] = []  # right detections, all detections, distinct scores of each block
    for right, count in zip(np.bincount(places, weights=is_right), np.bincount(places), strict=True):
        block = float(right), float(count), 1
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:  # as high as this one, or higher
            before = blocks.pop()
            block = before[0] + block[0], before[1] + block[1], before[2] + block[2]
        blocks.append(block)
    ends = np.cumsum([size for _, _, size in blocks])
    corners = np.unique(np.stack([ends - [size for _, _, size in blocks], ends - 1]))  # first and last of each block
    fractions = np.repeat([right / count for right, count, _ in blocks], [size for _, _, size in blocks])
    return Isotonic(tuple(distinct[corners].tolist()), tuple(fractions[corners].tolist()))


def expected_error_after(fit: Fit, scored: Scored) -> float:
    """Return the expected calibration error of recalibrated scores, each by a fit to other images.

    Args:
        fit: ``fit_temperature`` or ``fit_isotonic``.
        scored: detections; their images are divided into NUM_FOLDS parts.
    """
    recalibrated = scored.scores.copy()
    folds = scored.images % NUM_FOLDS
    for fold in range(NUM_FOLDS):
        held_out = folds == fold
        recalibration = fit(scored.scores[~held_out], scored.is_right[~held_out])
        recalibrated[held_out] = recalibration(scored.scores[held_out])
    return expected_error(recalibrated, scored.is_right)


def _logits(scores: Floats) -> Floats:
    logits: Floats = logit(np.clip(scores, MARGIN, 1 - MARGIN))
    return logits
