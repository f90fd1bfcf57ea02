"""A training is not stopped early for a metric of which nothing is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from instseg.training.early_stopping import EarlyStopping

NAN = math.nan
ENDS = {
    "never defined": ([NAN] * 9, None),
    "no better for two validations": ([0.3, 0.2, 0.1, 0.1], 2),
    "undefined in between": ([0.3, 0.2, NAN, NAN, NAN, 0.1], 5),
    "defined late": ([NAN, NAN, NAN, 0.1, 0.2, 0.3], None),
    "equal": ([0.3, 0.3, 0.3], 2),
}


@pytest.mark.parametrize(("values", "end"), ENDS.values(), ids=ENDS)
def test_it_ends_at_the_second_validation_that_is_defined_and_no_better(values, end):
    callback = EarlyStopping("val/x", mode="max", patience=2, check_finite=False)
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer = SimpleNamespace(
        callback_metrics={}, fast_dev_run=False, strategy=strategy, should_stop=False, current_epoch=0
    )
    stopped = []
    for value in values:
        trainer.callback_metrics["val/x"] = torch.tensor(value)
        callback._run_early_stopping_check(trainer)
        stopped.append(trainer.should_stop)
    assert (stopped.index(True) if any(stopped) else None) == end


def test_an_undefined_metric_stops_at_once_where_that_is_asked_for():
    callback = EarlyStopping("val/x", mode="max", patience=2, check_finite=True)
    assert callback._evaluate_stopping_criteria(torch.tensor(NAN))[0]
