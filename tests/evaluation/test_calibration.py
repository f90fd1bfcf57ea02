"""Calibration and recalibration of scores: by hand, by properties, and the isotonic fit by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from detections import EVERYTHING, LEFT, RIGHT, pool_of, prediction, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.recalibration import Isotonic, Temperature
from instseg.evaluation.assignment import assign
from instseg.evaluation.calibration import Scored, calibration, expected_error
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.recalibration import expected_error_after, fit_isotonic, fit_temperature


def overconfident(seed, temperature=3.0, num_images=50):
    """Detections that are right as often as a cooler score would say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, 3000)
    is_right = rng.random(3000) < 1 / (1 + np.exp(-logits))
    return Scored(1 / (1 + np.exp(-temperature * logits)), is_right, rng.integers(0, num_images, 3000))


def test_a_bin_holds_how_often_its_detections_are_right_and_the_error_is_the_mean_distance():
    scored = Scored(np.array([0.9, 0.9, 0.95, 0.2]), np.array([True, True, False, False]), np.array([0, 1, 2, 2]))
    found = calibration(scored, draws_for(3, 4))
    assert found.counts == (0, 0, 1, 0, 0, 0, 0, 0, 0, 3)
    assert found.fractions_right[9].value == pytest.approx(2 / 3) and np.isnan(found.fractions_right[0].value)
    assert found.mean_scores[9].value == pytest.approx(2.75 / 3)
    assert found.expected_error.value == pytest.approx((0.2 + 0.75) / 4)
    assert found.largest_error == pytest.approx(0.25)
    assert found.expected_error.low < found.expected_error.value < found.expected_error.high


def test_detections_in_crowds_are_left_out_and_a_category_can_be_taken_alone():
    made = prediction(1, [LEFT, RIGHT, EVERYTHING], [0.9, 0.8, 0.7], labels=[1, 1, 2])
    pool = pool_of([made], [truth(1, [LEFT, RIGHT, EVERYTHING], [1, 1, 2], [True, False, False])])
    scored = Scored.of(pool, assign(pool))
    assert scored.scores == pytest.approx([0.8, 0.7]) and scored.is_right.tolist() == [True, True]
    assert Scored.of(pool, assign(pool), label=2).scores == pytest.approx([0.7])


def test_nothing_detected_has_no_error():
    nothing = np.zeros(0), np.zeros(0, bool)
    assert expected_error(*nothing) == 0
    assert fit_temperature(*nothing) == Temperature(1) and fit_isotonic(*nothing)(np.array([0.3])) == 0.3


def test_the_temperature_is_found_that_the_scores_were_made_with():
    scored = overconfident(0)
    assert fit_temperature(scored.scores, scored.is_right).temperature == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_recalibrated_scores_of_other_images_say_how_often_they_are_right(fit):
    scored = overconfident(1)
    before = expected_error(scored.scores, scored.is_right)
    assert before > 0.1 and expected_error_after(fit, scored) < 0.03


def pooled(scores, is_right):
    """The isotonic fit by its definition: the largest, over what begins lower, of the smallest means up to higher."""
    distinct = np.unique(scores)
    means = [
        [is_right[(scores >= low) & (scores <= high)].mean() if low <= high else np.nan for high in distinct]
        for low in distinct
    ]
    return distinct, [max(np.nanmin(means[low][at:]) for low in range(at + 1)) for at in range(len(distinct))]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=25))
def test_the_isotonic_fit_is_the_one_of_least_squares(rows):
    scores, is_right = np.array([score / 10 for score, _ in rows]), np.array([right for _, right in rows])
    distinct, expected = pooled(scores, is_right)
    fitted = fit_isotonic(scores, is_right)
    assert fitted(distinct) == pytest.approx(expected)
    assert fitted(np.linspace(-1, 2, 50)).tolist() == sorted(fitted(np.linspace(-1, 2, 50)))


def test_a_recalibration_is_a_few_numbers():
    assert Isotonic((0.0, 0.5), (0.1, 0.4))(np.array([0.25, 0.9])) == pytest.approx([0.25, 0.4])
    assert Temperature(2.0)(np.array([0.9])) == pytest.approx(0.75)
