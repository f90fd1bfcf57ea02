"""Precision, recall and F1 of a category at every score threshold, at one IoU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from instseg.core.arrays import Floats, Rows
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.estimates import ratios
from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.one_to_one import NONE
from instseg.evaluation.resampling import Measure, Weights


@dataclass(frozen=True, slots=True)
class Counted:
    """Detections that are right and wrong at each of K thresholds, and instances to find, under R weightings."""

    right: Rows  # (R, K)
    wrong: Rows  # (R, K)
    positives: Rows  # (R, 1)

    def precision(self) -> Floats:
        """Return (R, K); NaN where nothing is detected."""
        return ratios(self.right, self.right + self.wrong)

    def recall(self) -> Floats:
        """Return (R, K); NaN where there is nothing to find."""
        return ratios(self.right, self.positives)

    def f1(self) -> Floats:
        """Return the harmonic mean of precision and recall, (R, K); NaN where there is nothing to find."""
        return np.where(self.positives > 0, ratios(2 * self.right, self.right + self.wrong + self.positives), np.nan)


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The D detections of a category that are right or wrong, best score first; those in crowds are neither."""

    thresholds: Floats  # (K,) the distinct scores, descending: a detection with just this score is kept
    ends: Rows  # (K,) row of the last detection that is kept
    images: Rows  # (D,)
    is_right: NDArray[np.bool_]  # (D,)
    truth_images: Rows  # (G,) of the instances to find

    @classmethod
    def of(cls, pool: InstancePool, assignment: Assignment, label: int) -> ScoreCurve:
        """Sort the detections of a category.

        Args:
            pool: the images.
            assignment: of its detections.
            label: of the category.
        """
        rows = pool.rows.order[pool.rows.labels[pool.rows.order] == label]
        rows = rows[~assignment.is_ignored[rows]]
        scores = pool.rows.scores[rows]
        ends = np.flatnonzero(np.diff(scores, append=-np.inf))
        to_find = ~pool.rows.truth_iscrowd & (pool.rows.truth_labels == label)
        return cls(scores[ends], ends, pool.images[rows], assignment.truths[rows] != NONE, pool.truth_images[to_find])

    def counted(self, weights: Weights) -> Counted:
        """Count under any weights of the images, (R, images)."""
        right = self._num_kept(self.is_right, weights)
        wrong = self._num_kept(~self.is_right, weights)
        of_images = np.bincount(self.truth_images, minlength=weights.shape[1])
        return Counted(right, wrong, (weights @ of_images)[:, None])

    def _num_kept(self, chosen: NDArray[np.bool_], weights: Weights) -> Rows:
        """Count the chosen detections that each threshold keeps, (R, K)."""
        rows = np.flatnonzero(chosen)
        steps = np.searchsorted(self.ends, rows)  # the first threshold that keeps each
        rows, steps = rows[steps < len(self.ends)], steps[steps < len(self.ends)]
        shape = len(self.ends), weights.shape[1]
        added = coo_array((np.ones(len(rows), np.int64), (steps, self.images[rows])), shape).tocsr()
        num_kept: Rows = (added @ weights.T).cumsum(axis=0).T
        return num_kept

    def thinned(self, num_thresholds: int, kept: int) -> ScoreCurve:
        """Return the curve at fewer thresholds, about as many detections apart.

        Args:
            num_thresholds: how many; one more where ``kept`` is not among them.
            kept: row of a threshold that stays.
        """
        if len(self.ends) <= num_thresholds:
            return self
        rows = np.unique([kept, *np.linspace(0, len(self.ends) - 1, num_thresholds).round().astype(np.int64).tolist()])
        return replace(self, thresholds=self.thresholds[rows], ends=self.ends[rows])

    def at_threshold(self, threshold: float) -> Measure:
        """Return the measure of precision, recall and F1, (R, 3), of the detections with this score or a higher one."""
        num_kept = int((self.thresholds >= np.float32(threshold)).sum())  # scores are of that precision
        last = self.ends[num_kept - 1 : num_kept] if num_kept else np.array([-1])
        alone = replace(self, thresholds=np.array([threshold]), ends=last)

        def measure(weights: Weights) -> Floats:
            counted = alone.counted(weights)
            return np.concatenate([counted.precision(), counted.recall(), counted.f1()], axis=1)

        return measure

    def once(self, num_images: int) -> Counted:
        """Count every image once."""
        return self.counted(np.ones((1, num_images), np.int64))
