"""A training says why it ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pytorch_lightning.callbacks import EarlyStopping, Timer

from instseg.training.ending import why_it_ended


def trainer(*callbacks, **more):
    usual = {"max_steps": -1, "max_epochs": 20, "current_epoch": 5, "global_step": 60, "should_stop": False}
    return SimpleNamespace(callbacks=list(callbacks), **{**usual, **more})


def stopped_early() -> EarlyStopping:
    callback = EarlyStopping("val/segm_map", patience=10)
    callback.stopped_epoch = 5
    return callback


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (trainer(current_epoch=20), "Done:"),
        (trainer(max_steps=60), "Done, trainer.max_steps is reached:"),
        (
            trainer(stopped_early(), should_stop=True),
            "Stopped early, val/segm_map has not improved for 10 validations:",
        ),
        (trainer(Timer(duration={"seconds": 0})), "Stopped at trainer.max_time:"),
        (trainer(should_stop=True), "Stopped by a callback:"),
    ],
    ids=["epochs", "steps", "early stopping", "time", "another callback"],
)
def test_the_reason_is_the_one_that_ended_it(ended, why):
    assert why_it_ended(ended) == why
