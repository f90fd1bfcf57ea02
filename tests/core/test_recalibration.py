"""Recalibrated scores keep the order of the detections, and so their average precision."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from detections import CATEGORIES, random_images

from instseg.core.recalibration import Isotonic, Recalibration, Temperature, recalibrated
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.metrics import evaluate_records

FUNCTIONS = (
    Temperature(0.3),
    Temperature(4.0),
    Isotonic((0.0, 0.5, 0.6), (0.1, 0.1, 0.7)),  # level below 0.5 and above 0.6
    Isotonic((0.4,), (0.5,)),
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_of_two_detections_the_one_with_the_higher_score_keeps_it(function):
    scores = np.linspace(0, 1, 1001, dtype=np.float32)
    after = recalibrated(function, scores)
    assert after.dtype == np.float32 and (np.diff(after) > 0).all() and after.min() >= 0 and after.max() <= 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_average_precision_stays_what_it_was(function):
    records = unique_images([ImageRecord.build(*pair) for pair in zip(*random_images(5, 12), strict=True)])
    after = [replace(one, scores=recalibrated(function, one.scores).astype(float)) for one in records]
    before = evaluate_records(records, CATEGORIES)
    for name, value in evaluate_records(after, CATEGORIES).items():
        if "map" in name or "mar" in name:
            assert value == before[name] or np.isnan([value, before[name]]).all()


@pytest.mark.parametrize(
    "content",
    [
        {"type": "temperature", "temperature": 0.0},
        {"type": "isotonic", "scores": [0.5, 0.2], "fractions": [0.1, 0.2]},
        {"type": "isotonic", "scores": [0.2, 0.5], "fractions": [0.3, 0.2]},
        {"type": "isotonic", "scores": [0.2], "fractions": [0.3, 0.2]},
        {"type": "isotonic", "scores": [], "fractions": []},
        {"type": "isotonic", "scores": [0.2], "fractions": [1.5]},
        {"type": "another"},
    ],
)
def test_numbers_that_are_no_such_function_are_refused(content):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(content, Recalibration)
