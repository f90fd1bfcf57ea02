"""Pictures take no more room in TensorBoard and no more time than they may, and are spread over the training."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from pytorch_lightning.trainer.states import TrainerFn

from instseg.training.picture_budget import MAX_TIME_FRACTION, PictureBudget
from instseg.training.pictures import PictureLogger

LONG = 1000.0  # seconds


def drawn_validations(budget: PictureBudget, validations: int, seconds: float, drawing: float, size: int) -> list[int]:
    """The validations that are drawn, from 1."""
    drawn = []
    for done in range(1, validations + 1):
        is_drawn = budget.has_room(done / validations)
        budget.bytes += size * is_drawn
        budget.note(seconds, drawing * is_drawn, size * is_drawn)
        drawn += [done] * is_drawn
    return drawn


@pytest.mark.parametrize("validations", [3, 40, 400])
def test_pictures_of_a_training_and_its_test_fit_into_their_bytes(validations):
    budget, per_set = PictureBudget(5e6), 400_000
    drawn = drawn_validations(budget, validations, LONG, 1.0, per_set)
    assert budget.bytes + per_set <= 5e6, "and there is room for the pictures of the test"
    assert drawn[0] == 1
    assert len(drawn) == min(validations, 11)
    assert max(b - a for a, b in pairwise(drawn[1:])) <= max(1, validations // 10)


@pytest.mark.parametrize("size", [0, 1000])
def test_drawing_takes_a_small_part_of_the_time_of_the_validations(size):
    budget = PictureBudget(5e6)
    drawn = drawn_validations(budget, 100, seconds=2.0, drawing=0.5, size=size)
    assert drawn[:2] == [1, 10] and len(drawn) == 20
    assert budget.drawing_seconds <= MAX_TIME_FRACTION * budget.evaluation_seconds
    slow = PictureBudget(5e6)
    assert drawn_validations(slow, 3, seconds=1.0, drawing=9.0, size=size) == [1], "the first one is drawn all the same"


def test_every_evaluation_outside_of_a_training_is_drawn(tmp_path):
    logger = PictureLogger(8, 0.5, tmp_path)
    logger.budget.note(1.0, 100.0, 10**7)
    assert logger._has_room(SimpleNamespace(validating=False, state=SimpleNamespace(fn=TrainerFn.FITTING)))
    assert logger._has_room(SimpleNamespace(validating=True, state=SimpleNamespace(fn=TrainerFn.VALIDATING)))


def test_a_resumed_logger_counts_on(tmp_path):
    before, after = (PictureLogger(8, 0.5, tmp_path) for _ in range(2))
    before.budget.bytes, before.budget.bytes_of_set, before._shown_training_batch = 900, 300, True
    after.load_state_dict(before.state_dict())
    assert after.state_dict() == before.state_dict()
    after.load_state_dict({"shown_training_batch": True})
