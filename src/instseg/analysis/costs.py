"""Costs of single errors: about what each alone takes from the mask AP at an IoU of 0.50."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.image_details import DetailsPool
from instseg.evaluation.one_to_one import NONE


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Loss of mean AP by each detection that is wrong, and by each instance that is missed.

    A missed instance of a category with n instances takes 1/n of recall at full precision. A wrong detection of rank r
    lowers the precision at each right one after it, of rank k with t right ones up to there, by t / (k (k - 1)).
    """

    false: Floats  # (D,) 0 for what is right or lies in a crowd
    missed: Floats  # (G,) 0 for what any detection finds, whatever its score

    @classmethod
    def of(cls, pool: DetailsPool, assignment: Assignment) -> Costs:
        """Measure the cost of each.

        Args:
            pool: the images.
            assignment: of all detections.
        """
        rows = pool.rows
        num_labels = max(rows.labels.max(initial=0), rows.truth_labels.max(initial=0)) + 1  # those of crowds, too
        num = np.bincount(rows.truth_labels[~rows.truth_iscrowd], minlength=num_labels)
        weight = 1 / max(1, int((num > 0).sum()))  # of a category in the mean
        false = np.zeros(len(rows.labels))
        for label in np.flatnonzero(num).tolist():
            of_label = np.flatnonzero((rows.labels == label) & ~assignment.is_ignored)
            ordered = of_label[np.argsort(-rows.scores[of_label], kind="stable")]
            false[ordered] = weight * _gains(assignment.truths[ordered] != NONE) / num[label]
        is_found = np.isin(np.arange(len(rows.truth_labels)), assignment.truths)
        return cls(false, np.where(is_found, 0.0, weight / np.maximum(num[rows.truth_labels], 1)))


def _gains(is_right: NDArray[np.bool_]) -> Floats:
    """Return the precision, summed over the right ones, that is gained without each wrong one; best score first."""
    rank = np.arange(1, len(is_right) + 1)
    loss = is_right * np.cumsum(is_right) / (rank * np.maximum(rank - 1, 1))
    after = loss[::-1].cumsum()[::-1] - loss
    return np.where(is_right, 0.0, after)
