"""Numbers of a split that the report tells, with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.subject import Subject
from instseg.core.categories import Categories
from instseg.evaluation.bootstrap import ap_interval
from instseg.evaluation.chance import MIN_IMAGES
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.matching import Pool, match, within_areas
from instseg.evaluation.metrics import evaluate_records
from instseg.evaluation.precision_recall import precision_and_recall
from instseg.evaluation.weighted_curves import RECALLS

MAX_INTERVALS = 30
"""Categories that get an interval: those with the most instances."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Numbers of the evaluated images."""

    categories: Categories
    records: list[ImageRecord]
    metrics: dict[str, float]
    """As ``evaluate_records`` names them."""
    intervals: dict[str, tuple[float, float]]
    """Ends of the 95 % interval of some of them."""
    precision: NDArray[np.float64]  # (RECALLS, C) at a mask IoU of 0.5; -1 where there is no ground truth
    thresholds: NDArray[np.float64]  # (C,) in use

    @property
    def ap50(self) -> NDArray[np.float64]:
        """AP at a mask IoU of 0.5 of each category, (C,); NaN where there is no ground truth."""
        ap: NDArray[np.float64] = np.where(self.precision[0] < 0, math.nan, self.precision.mean(axis=0))
        return ap


def measure(subject: Subject) -> Measured:
    """Measure the masks of the evaluated images."""
    evaluated = subject.evaluated
    records = [ImageRecord.build(*image) for image in zip(evaluated.predictions, evaluated.truths, strict=True)]
    metrics = evaluate_records(records, evaluated.categories)
    pool = Pool.of(records)
    overlaps = pool.overlaps([record.masks for record in records])
    precision, _ = precision_and_recall(
        pool, match(pool, overlaps), within_areas(overlaps.areas), len(evaluated.categories)
    )
    assert precision.shape[1] == len(RECALLS)
    intervals = _intervals(records, evaluated.categories)
    return Measured(evaluated.categories, records, metrics, intervals, precision[0, :, :, 0], subject.thresholds)


def _intervals(records: list[ImageRecord], categories: Categories) -> dict[str, tuple[float, float]]:
    if len(records) < MIN_IMAGES:
        return {}
    labels = np.concatenate([np.zeros(0, np.int64), *(record.truth_labels for record in records)])
    counts = np.bincount(labels, minlength=len(categories) + 1)[1:]
    frequent = [row for row in np.argsort(-counts, kind="stable")[:MAX_INTERVALS].tolist() if counts[row]]
    names = ["segm_map", "segm_map_50", *(f"segm_map/{categories.names[row]}" for row in frequent)]
    return {name: ap_interval(records, categories, name) for name in names}
