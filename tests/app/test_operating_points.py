"""Operating points of a validation, as a training keeps them for its checkpoints."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from described import POINTS
from detections import CAR, CATEGORIES, LEFT, RIGHT, prediction, random_images, truth

from instseg.app.operating_points import OperatingPointsOfValidation, measure
from instseg.checkpoints.operating_points import recalibrated_by
from instseg.evaluation.goal import Goal
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.prediction.thresholds import choose_thresholds


def validated(*scores: float) -> SimpleNamespace:
    """A module after a validation of one image with a car, in LEFT, and detections there and elsewhere."""
    metrics = MetricSet({"coco": CocoMaskMetrics(CATEGORIES)})
    metrics.update([prediction(1, [LEFT, RIGHT], scores, [CAR, CAR])], [truth(1, [LEFT])])
    metrics.compute()
    return SimpleNamespace(metrics=metrics)


def trainer(is_global_zero: bool = True, sanity_checking: bool = False) -> SimpleNamespace:
    return SimpleNamespace(is_global_zero=is_global_zero, sanity_checking=sanity_checking)


def test_each_validation_takes_the_place_of_the_one_before():
    kept = OperatingPointsOfValidation("f1", CATEGORIES, POINTS)
    assert kept.points == POINTS, "those of the checkpoint that the training resumes from, until there are others"
    kept.on_validation_end(trainer(), validated(0.9, 0.4))
    kept.on_validation_end(trainer(), validated(0.9, 0.7))
    (car,) = kept.points.points  # the other categories have no instance
    assert (kept.points.goal, kept.points.num_images, car.category, car.threshold.value) == ("f1", 1, "car", 0.8)
    assert (car.f1.value, car.f1.low, car.is_reached) == (1, None, True)


@pytest.mark.parametrize("recalibrate", ["isotonic", "temperature"])
def test_thresholds_are_of_recalibrated_scores_and_keep_the_same_detections(recalibrate):
    """What a threshold keeps of the validation images, the recalibrated threshold keeps of the recalibrated scores."""
    predictions, truths = random_images(1, 20)
    records = unique_images([ImageRecord.build(*pair) for pair in zip(predictions, truths, strict=True)])
    plain = measure(records, CATEGORIES, Goal.parse("f1"))
    points = measure(records, CATEGORIES, Goal.parse("f1"), recalibrate)
    pairs = list(zip(predictions, recalibrated_by(points, predictions), strict=True))
    kept = [choose_thresholds("auto", CATEGORIES, one) for one in (plain, points)]
    for before, after in pairs:
        assert np.array_equal(kept[0].is_kept(before), kept[1].is_kept(after))
    assert any(not np.array_equal(before.scores, after.scores) for before, after in pairs)
    assert [one.f1 for one in plain.points] == [one.f1 for one in points.points]
    assert points.flat()["val/calibration_error"] == points.recalibration.error_before


@pytest.mark.parametrize("state", [{"sanity_checking": True}, {"is_global_zero": False}])
def test_a_trial_validation_and_a_rank_without_the_images_change_nothing(state):
    kept = OperatingPointsOfValidation("f1", CATEGORIES)
    kept.on_validation_end(trainer(**state), validated(0.9, 0.4))
    assert kept.points is None


def test_a_training_without_the_coco_metrics_has_none():
    kept = OperatingPointsOfValidation("f1", CATEGORIES)
    kept.on_validation_end(trainer(), SimpleNamespace(metrics=MetricSet({})))
    assert kept.points is None
