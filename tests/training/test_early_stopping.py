"""A training is not stopped early for a metric of which nothing is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.trainer.states import TrainerFn

from instseg.training.early_stopping import EarlyStopping

NAN = math.nan
ENDS = {
    "never defined": ([NAN] * 9, None),
    "no better for two validations": ([0.3, 0.2, 0.1, 0.1], 2),
    "undefined in between": ([0.3, 0.2, NAN, NAN, NAN, 0.1], 5),
    "defined late": ([NAN, NAN, NAN, 0.1, 0.2, 0.3], None),
    "equal": ([0.3, 0.3, 0.3], 2),
}


def fitting_trainer() -> Any:
    """As a callback sees the trainer at the end of a validation."""
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    return SimpleNamespace(
        callback_metrics={}, fast_dev_run=False, strategy=strategy, should_stop=False, current_epoch=0,
        state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False,
    )  # fmt: skip


@pytest.mark.parametrize(("values", "end"), ENDS.values(), ids=ENDS)
def test_it_ends_at_the_second_validation_that_is_defined_and_no_better(values, end):
    callback = EarlyStopping("val/x", mode="max", patience=2, check_finite=False, check_on_train_epoch_end=False)
    trainer, stopped = fitting_trainer(), []
    for value in values:
        trainer.callback_metrics["val/x"] = torch.tensor(value)
        callback.on_validation_end(trainer, LightningModule())
        stopped.append(trainer.should_stop)
    assert (stopped.index(True) if any(stopped) else None) == end


def test_an_undefined_metric_stops_at_once_where_that_is_asked_for():
    callback = EarlyStopping("val/x", mode="max", patience=2, check_finite=True, check_on_train_epoch_end=True)
    trainer = fitting_trainer()
    trainer.callback_metrics["val/x"] = torch.tensor(NAN)
    callback.on_train_epoch_end(trainer, LightningModule())
    assert trainer.should_stop
