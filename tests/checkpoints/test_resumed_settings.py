"""A resumed training uses the settings that are typed, and its records say so."""

from __future__ import annotations


import pytest
import torch
from killed_runs import left_by, run


@pytest.mark.slow
def test_a_training_that_had_stopped_early_goes_on_with_more_patience(tmp_path):
    folder, stopping = tmp_path / "patient", ("callbacks=early_stopping", "+callbacks.early_stopping.min_delta=1000")
    stopping += ("trainer.max_epochs=4", "callbacks.pictures=null", "callbacks.curves=null")
    assert run(folder, *stopping, "callbacks.early_stopping.patience=1") == 0
    assert left_by(folder)["steps"] == 2 * 4
    assert run(folder, *stopping, "callbacks.early_stopping.patience=50", resume=True) == 0
    left = left_by(folder)
    assert left["steps"] == 4 * 4
    states = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    assert [state["patience"] for key, state in states.items() if key.startswith("EarlyStopping")] == [50]
