"""Pictures take no more room in TensorBoard than they may, and are spread over the training."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from pytorch_lightning.trainer.states import TrainerFn

from instseg.training import pictures
from instseg.training.pictures import PictureLogger


@pytest.mark.parametrize("validations", [3, 40, 400])
def test_pictures_of_a_training_and_its_test_fit_into_their_bytes(validations, monkeypatch, tmp_path):
    logger, per_set = PictureLogger(8, 0.5, tmp_path, max_megabytes=5.0), 400_000
    trainer = SimpleNamespace(validating=True, state=SimpleNamespace(fn=TrainerFn.FITTING))
    drawn = []
    for done in range(1, validations + 1):
        now = SimpleNamespace(steps=done, all_steps=validations)
        monkeypatch.setattr(pictures, "progress_of", lambda trainer, now=now: now)
        if logger._has_room(trainer):
            logger._bytes, logger._bytes_of_set = logger._bytes + per_set, per_set
            drawn.append(done)
    assert logger._bytes + per_set <= 5e6, "and there is room for the pictures of the test"
    assert drawn[0] == 1
    assert len(drawn) == min(validations, 11)
    assert max(b - a for a, b in pairwise(drawn[1:])) <= max(1, validations // 10)


def test_a_resumed_logger_counts_on(tmp_path):
    before, after = (PictureLogger(8, 0.5, tmp_path) for _ in range(2))
    before._bytes, before._bytes_of_set, before._shown_training_batch = 900, 300, True
    after.load_state_dict(before.state_dict())
    assert after.state_dict() == before.state_dict()
    after.load_state_dict({"shown_training_batch": True})
