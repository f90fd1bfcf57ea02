"""Operating points of the network that is trained, measured anew in each validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.checkpoints.operating_points import OperatingPoints, StoredPoint, StoredRecalibration, stored_estimate
from instseg.core.categories import Categories
from instseg.core.recalibration import Recalibration, recalibrated
from instseg.evaluation.assignment import assign
from instseg.evaluation.calibration import Scored, expected_error
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.goal import Goal
from instseg.evaluation.image_details import InstancePool
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.evaluation.operating_points import OperatingPoint, operating_points
from instseg.evaluation.recalibration import FITS, expected_error_after
from instseg.training.callbacks import metrics_of


class OperatingPointsOfValidation(Callback):
    """Keeper of the operating points of the last validation, on the first rank: checkpoints are written there.

    Args:
        goal: of the thresholds, as the key operating_point has it.
        categories: of the data.
        earlier: those in the checkpoint that the training resumes from.
        recalibrate: the scores first, as the key recalibrate has it.
    """

    def __init__(
        self,
        goal: str,
        categories: Categories,
        earlier: OperatingPoints | None = None,
        recalibrate: str | None = None,
    ) -> None:
        self.goal, self.categories, self.points = Goal.parse(goal), categories, earlier
        self.recalibrate = recalibrate

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure them on the images that the COCO metrics measured; without these metrics there are none."""
        coco = metrics_of(pl_module).of_kind(CocoMaskMetrics)
        if coco is not None and trainer.is_global_zero and not trainer.sanity_checking:
            self.points = measure(coco.measured, self.categories, self.goal, self.recalibrate)


def measure(
    records: Sequence[ImageRecord], categories: Categories, goal: Goal, recalibrate: str | None = None
) -> OperatingPoints:
    """Choose the threshold of each category, by masks with an IoU of at least 0.5.

    Args:
        records: the images, each once, sorted by image_id.
        categories: names of the labels 1….
        goal: of the thresholds.
        recalibrate: isotonic or temperature, of the scores first; None for the scores as they are.
    """
    recalibration = _fitted(records, recalibrate) if recalibrate else None
    if recalibration:
        records = [_rescored(record, recalibration.function) for record in records]
    pool = InstancePool.of_records(records)
    drawn = draws_for(len(records), len(pool.images))
    points = operating_points(pool, assign(pool), categories, goal, drawn)
    chosen = [_stored(point) for point in points if not math.isnan(point.threshold.value)]
    return OperatingPoints(str(goal), len(records), chosen, recalibration)


def _fitted(records: Sequence[ImageRecord], recalibrate: str) -> StoredRecalibration:
    pool, fit = InstancePool.of_records(records), FITS[recalibrate]
    scored = Scored.of(pool, assign(pool))
    error = expected_error(scored.scores, scored.is_right)
    return StoredRecalibration(fit(scored.scores, scored.is_right), error, expected_error_after(fit, scored))


def _rescored(record: ImageRecord, recalibration: Recalibration) -> ImageRecord:
    return replace(record, scores=recalibrated(recalibration, record.scores).astype(np.float64))


def _stored(point: OperatingPoint) -> StoredPoint:
    numbers = (point.threshold, point.precision, point.recall, point.f1)
    threshold, precision, recall, f1 = (stored_estimate(one.value, one.low, one.high) for one in numbers)
    return StoredPoint(point.category, threshold, precision, recall, f1, point.is_reached)
