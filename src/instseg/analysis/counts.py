"""Counts of what was found, missed and wrong at the thresholds in use, by category and as a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.pairs import CROWD, Pairs
from instseg.analysis.subject import Subject
from instseg.core.types import GroundTruth, Prediction

BACKGROUND = 0
Cell = tuple[int, int]
"""Label of the instance and of the detection; BACKGROUND where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Instances and detections of each label at the thresholds in use."""

    matrix: NDArray[np.int64]  # (1 + C, 1 + C) instances by label of the truth and of the detection
    iou_sums: NDArray[np.float64]  # (1 + C,) of found instances

    @property
    def found(self) -> NDArray[np.int64]:
        """Found instances of each category, (C,)."""
        return np.diagonal(self.matrix)[1:]

    @property
    def present(self) -> NDArray[np.int64]:
        """Instances of each category, (C,)."""
        present: NDArray[np.int64] = self.matrix[1:].sum(axis=1)
        return present

    @property
    def detected(self) -> NDArray[np.int64]:
        """Detections of each category, (C,)."""
        detected: NDArray[np.int64] = self.matrix[:, 1:].sum(axis=0)
        return detected


def count(subject: Subject) -> Counts:
    """Count what was found, missed and wrong; crowds, and what was found in them, do not count.

    Each instance is in one cell and each detection as well: rows add up to the instances that there are, columns to the
    detections. An instance and a detection share a cell where their masks have an IoU of 0.5.
    """
    num = len(subject.evaluated.categories) + 1
    matrix, iou_sums = np.zeros((num, num), np.int64), np.zeros(num)
    for prediction, truth, pairs in zip(
        subject.evaluated.predictions, subject.evaluated.truths, subject.pairs, strict=True
    ):
        partners = partners_of(pairs)
        counted = pairs.is_kept & (pairs.match != CROWD)
        paired, alone = counted & (partners >= 0), counted & (partners < 0)
        np.add.at(matrix, (truth.labels[partners[paired]], prediction.labels[paired]), 1)
        matrix[BACKGROUND] += np.bincount(prediction.labels[alone], minlength=num)
        is_missed = ~truth.iscrowd
        is_missed[partners[paired]] = False
        matrix[:, BACKGROUND] += np.bincount(truth.labels[is_missed], minlength=num)
        right = paired & (pairs.match >= 0)
        iou_sums += np.bincount(prediction.labels[right], pairs.ious[right], minlength=num)
    return Counts(matrix, iou_sums)


def partners_of(pairs: Pairs) -> NDArray[np.int64]:
    """Return the instance that shares a cell of the matrix with each detection, (D,); negative where there is none."""
    partners: NDArray[np.int64] = np.where(pairs.match >= 0, pairs.match, pairs.confused)
    return partners


def cell_of(prediction: Prediction, truth: GroundTruth, detection: int | None, instance: int | None) -> Cell:
    """Return the cell of a pair.

    Args:
        prediction: of an image.
        truth: of the same image.
        detection: its row, None for the background.
        instance: its row, None for the background.
    """
    return (
        BACKGROUND if instance is None else int(truth.labels[instance]),
        BACKGROUND if detection is None else int(prediction.labels[detection]),
    )
