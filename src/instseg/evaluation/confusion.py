"""Confusion of categories by mask IoU at chosen score thresholds, with the background, and the cases of each cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Flags, Rows
from instseg.core.categories import Categories
from instseg.evaluation.assignment import Assignment, ious_of
from instseg.evaluation.estimates import Estimate, estimates, ratio_of_sums
from instseg.evaluation.image_details import DetailsPool
from instseg.evaluation.image_record import MIN_IOU
from instseg.evaluation.one_to_one import NONE, take_first
from instseg.evaluation.resampling import Measure, Weights

BACKGROUND = 0
"""Label of the row of detections that find nothing, and of the column of instances that are missed."""


@dataclass(eq=False, frozen=True, slots=True)
class Cases:
    """The N pairs of a matrix: an instance with the detection that found it, or one of the two alone."""

    truth_labels: Rows  # (N,) row of the matrix
    labels: Rows  # (N,) column
    detections: Rows  # (N,) row in the pool; NONE
    truths: Rows  # (N,) row in the pool; NONE
    images: Rows  # (N,) place of the image
    truth_rows: Rows  # (N,) row in the ground truth of the image; NONE
    predicted_rows: Rows  # (N,) row in the prediction of the image; NONE
    scores: NDArray[np.float64]  # (N,) NaN without a detection
    ious: NDArray[np.float64]  # (N,) of the masks; 0 for one alone

    def of(self, truth_label: int, label: int) -> Rows:
        """Return the places of the cases of a cell, best score first.

        Args:
            truth_label: row; BACKGROUND for detections that find nothing.
            label: column; BACKGROUND for missed instances.
        """
        places = np.flatnonzero((self.truth_labels == truth_label) & (self.labels == label))
        return places[np.argsort(-self.scores[places], kind="stable")]


@dataclass(eq=False, frozen=True, slots=True)
class Confusion:
    """Numbers of instances of each category that were detected as each; label 0 stands for the background.

    Row t sums to the instances of category t, crowds left out. Column p sums to the detections of category p at its
    threshold, those left out that lie in a crowd and find no instance, which ``in_crowds`` counts.
    """

    matrix: Rows  # (categories + 1, categories + 1), rows of the ground truth
    in_crowds: Rows  # (categories + 1,)
    cases: Cases
    num_images: int

    def fractions(self, drawn: Weights, labels: Collection[int]) -> dict[tuple[int, int], Estimate]:
        """Return the fraction of the instances of its row that is in each cell that is not empty.

        Args:
            drawn: draws of the images for the intervals, as ``draws_for`` returns them.
            labels: of the rows and columns that are wanted.
        """
        found = [(int(t), int(p)) for t, p in np.argwhere(self.matrix > 0)]
        cells = [(t, p) for t, p in found if t != BACKGROUND and t in labels and p in labels]
        return dict(zip(cells, estimates(self._measure(cells), drawn), strict=True))

    def _measure(self, cells: list[tuple[int, int]]) -> Measure:
        over, under = (np.zeros((self.num_images, len(cells))) for _ in range(2))
        for column, (truth_label, label) in enumerate(cells):
            in_row = self.cases.truth_labels == truth_label
            np.add.at(over[:, column], self.cases.images[in_row & (self.cases.labels == label)], 1)
            np.add.at(under[:, column], self.cases.images[in_row], 1)
        return ratio_of_sums(over, under)


def kept_at(pool: DetailsPool, categories: Categories, thresholds: Mapping[str, float]) -> Flags:
    """Return the detections that reach the threshold of their category, (D,).

    Args:
        pool: the images.
        categories: names of the labels 1...
        thresholds: by category; none is kept of one whose threshold is NaN or that has none.
    """
    of_labels = np.array([np.nan, *(thresholds.get(name, np.nan) for name in categories.names)])
    kept: Flags = pool.rows.scores >= of_labels.astype(np.float32)[pool.rows.labels]
    return kept


def confusion(
    pool: DetailsPool, assignment: Assignment, kept: Flags, num_categories: int, min_iou: float = MIN_IOU
) -> Confusion:
    """Count which category was detected as which.

    Detections first find instances of their own category as for AP, so the diagonal holds what is right. What is left
    on both sides is paired across categories, the highest IoU first.

    Args:
        pool: the images.
        assignment: of its detections at this IoU.
        kept: (D,) the detections at the thresholds.
        num_categories: number of labels 1...
        min_iou: that makes a pair, as for the assignment.
    """
    is_counted = kept & ~assignment.is_ignored
    truths = np.where(is_counted, assignment.truths, NONE)
    truths = _across_categories(pool, is_counted & (truths == NONE), truths, min_iou)
    cases = _cases(pool, is_counted, truths)
    matrix = np.zeros((num_categories + 1, num_categories + 1), np.int64)
    np.add.at(matrix, (cases.truth_labels, cases.labels), 1)
    in_crowds = np.bincount(pool.rows.labels[kept & assignment.is_ignored], minlength=num_categories + 1)
    return Confusion(matrix, in_crowds.astype(np.int64), cases, len(pool.details))


def _across_categories(pool: DetailsPool, free: Flags, truths: Rows, min_iou: float) -> Rows:
    """Return ``truths`` with the instances that free detections of another category find."""
    near, rows = pool.near, pool.rows
    is_open = ~rows.truth_iscrowd
    is_open[truths[truths != NONE]] = False
    fits = (near.ious >= min_iou) & free[near.detections] & is_open[near.truths]
    pairs = np.flatnonzero(fits & (rows.labels[near.detections] != rows.truth_labels[near.truths]))
    order = pairs[np.lexsort((near.truths[pairs], -rows.scores[near.detections[pairs]], -near.ious[pairs]))]
    found = take_first(near.detections[order], near.truths[order], len(truths), len(is_open))
    return np.where(found == NONE, truths, found)


def _cases(pool: DetailsPool, is_counted: Flags, truths: Rows) -> Cases:
    rows = pool.rows
    detections = np.flatnonzero(is_counted)
    is_found = np.zeros(len(rows.truth_labels), np.bool_)
    is_found[truths[truths != NONE]] = True
    missed = np.flatnonzero(~is_found & ~rows.truth_iscrowd)
    found, alone = truths[detections], np.full(len(missed), NONE)

    def joined(of_detections: Rows, of_missed: Rows) -> Rows:
        return np.concatenate([of_detections, of_missed])

    return Cases(
        truth_labels=joined(
            np.where(found == NONE, BACKGROUND, _at(rows.truth_labels, found)), rows.truth_labels[missed]
        ),
        labels=joined(rows.labels[detections], np.full(len(missed), BACKGROUND)),
        detections=joined(detections, alone),
        truths=joined(found, missed),
        images=joined(pool.images[detections], pool.truth_images[missed]),
        truth_rows=joined(_at(pool.truth_rows, found), pool.truth_rows[missed]),
        predicted_rows=joined(pool.predicted_rows[detections], alone),
        scores=np.concatenate([rows.scores[detections], np.full(len(missed), np.nan)]),
        ious=np.concatenate([ious_of(pool.near, truths)[detections], np.zeros(len(missed))]),
    )


def _at(values: Rows, places: Rows) -> Rows:
    """Return the values at these places, and NONE where a place is NONE."""
    return np.append(values, NONE)[places]
