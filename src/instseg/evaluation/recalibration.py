"""Fits of the functions that make a score the fraction of detections that are right, and how well they do.

They are fitted on images that the network was not trained on, and applied to any scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from instseg.core.arrays import Floats
from instseg.core.recalibration import Isotonic, Recalibration, Temperature, logits, recalibrated
from instseg.evaluation.calibration import Scored, expected_error

TEMPERATURES = 0.05, 20.0
NUM_FOLDS = 5


Fit = Callable[[Floats, NDArray[np.bool_]], Recalibration]


def fit_temperature(scores: Floats, is_right: NDArray[np.bool_]) -> Temperature:
    """Fit the temperature by maximum likelihood, from 1/20 to 20; 1 where there is no detection.

    Args:
        scores: (D,) 0 to 1.
        is_right: (D,).
    """
    if not len(scores):
        return Temperature(1.0)
    signed = np.where(is_right, 1.0, -1.0) * logits(scores)

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
    after = scored.scores.copy()
    folds = scored.images % NUM_FOLDS
    for fold in range(NUM_FOLDS):
        held_out = folds == fold
        recalibration = fit(scored.scores[~held_out], scored.is_right[~held_out])
        after[held_out] = recalibrated(recalibration, scored.scores[held_out])
    return expected_error(after, scored.is_right)


FITS: Mapping[str, Fit] = {"isotonic": fit_isotonic, "temperature": fit_temperature}
"""Value of the key ``recalibrate`` -> the fit."""
