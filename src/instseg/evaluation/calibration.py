"""Calibration: how often detections of a score are right, against what the score says (Guo et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.one_to_one import NONE
from instseg.evaluation.resampling import Weights

NUM_BINS = 10


@dataclass(eq=False, slots=True)
class Scored:
    """Detections that are right or wrong; those in crowds are neither, and left out."""

    scores: Floats  # (D,) 0 to 1
    is_right: NDArray[np.bool_]  # (D,)
    images: NDArray[np.int64]  # (D,)

    @classmethod
    def of(cls, pool: InstancePool, assignment: Assignment, label: int | None = None) -> Scored:
        """Collect the detections of the images.

        Args:
            pool: the images.
            assignment: of its detections at the IoU that counts.
            label: of one category; None for all.
        """
        chosen = ~assignment.is_ignored & (True if label is None else pool.rows.labels == label)
        return cls(pool.rows.scores[chosen], assignment.truths[chosen] != NONE, pool.images[chosen])


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reliability curve, and by how much scores are off."""

    edges: tuple[float, ...]  # of the bins of scores, equally wide
    counts: tuple[int, ...]  # detections in each bin
    mean_scores: tuple[Estimate, ...]  # of each bin; NaN where it is empty
    fractions_right: tuple[Estimate, ...]
    expected_error: Estimate  # mean distance of the two, weighted by the counts
    largest_error: float  # of one bin


def calibration(scored: Scored, drawn: Weights, num_bins: int = NUM_BINS) -> Calibration:
    """Measure how far scores are from the fraction of detections that are right.

    Args:
        scored: detections.
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
        num_bins: of the scores from 0 to 1.
    """
    sums = _bin_sums(scored, drawn.shape[1], num_bins)

    def measure(weights: Weights) -> Floats:
        count, score, right = (weights @ of_images for of_images in sums)
        error = np.abs(score - right).sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
        means = [np.where(count > 0, total / np.maximum(count, 1), np.nan) for total in (score, right)]
        return np.concatenate([error, *means], axis=1)

    expected_error, *means = estimates(measure, drawn)
    mean_scores, fractions_right = tuple(means[:num_bins]), tuple(means[num_bins:])
    gaps = [abs(score.value - right.value) for score, right in zip(mean_scores, fractions_right, strict=True)]
    return Calibration(
        edges=tuple(np.linspace(0, 1, num_bins + 1).tolist()),
        counts=tuple(sums[0].sum(axis=0).astype(int).tolist()),
        mean_scores=mean_scores,
        fractions_right=fractions_right,
        expected_error=expected_error,
        largest_error=float(np.nanmax([0.0, *gaps])),
    )


def expected_error(scores: Floats, is_right: NDArray[np.bool_], num_bins: int = NUM_BINS) -> float:
    """Return the expected calibration error alone, 0 to 1; 0 where there is no detection.

    Args:
        scores: (D,).
        is_right: (D,).
        num_bins: of the scores from 0 to 1.
    """
    scored = Scored(scores, is_right, np.zeros(len(scores), np.int64))
    return calibration(scored, np.zeros((0, 1), np.int64), num_bins).expected_error.value


def _bin_sums(scored: Scored, num_images: int, num_bins: int) -> tuple[Floats, Floats, Floats]:
    """Return number, sum of scores and number of right detections of each image and bin, (images, bins) each."""
    bins = np.clip((scored.scores * num_bins).astype(np.int64), 0, num_bins - 1)
    places = scored.images * num_bins + bins

    def summed(values: Floats | None) -> Floats:
        sums = np.bincount(places, weights=values, minlength=num_images * num_bins)
        return sums.reshape(num_images, num_bins).astype(np.float64)

    return summed(None), summed(scored.scores), summed(scored.is_right.astype(np.float64))
