"""Operating points of a validation, as a training keeps them for its checkpoints."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from described import POINTS
from detections import CAR, CATEGORIES, LEFT, RIGHT, prediction, truth

from instseg.app.operating_points import OperatingPointsOfValidation
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics


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


@pytest.mark.parametrize("state", [{"sanity_checking": True}, {"is_global_zero": False}])
def test_a_trial_validation_and_a_rank_without_the_images_change_nothing(state):
    kept = OperatingPointsOfValidation("f1", CATEGORIES)
    kept.on_validation_end(trainer(**state), validated(0.9, 0.4))
    assert kept.points is None


def test_a_training_without_the_coco_metrics_has_none():
    kept = OperatingPointsOfValidation("f1", CATEGORIES)
    kept.on_validation_end(trainer(), SimpleNamespace(metrics=MetricSet({})))
    assert kept.points is None
