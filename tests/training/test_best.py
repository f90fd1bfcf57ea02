"""The best validation: of equal ones the newer, and an undefined one only before any that is defined."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instseg.checkpoints.best_checkpoint import BestCheckpoint
from instseg.training.best import is_best
from instseg.training.history import History

NAN = math.nan
KEPT = {
    "each is better": ("max", (0.1, 0.2, 0.3), 2),
    "the second is worse": ("max", (0.3, 0.2, 0.1), 0),
    "all are equal": ("max", (0.0, 0.0, 0.0), 2),
    "the smallest loss": ("min", (0.3, 0.1, 0.2), 1),
    "never defined": ("max", (NAN, NAN, NAN), 2),
    "defined once": ("max", (NAN, 0.0, NAN), 1),
    "a loss that is undefined at first": ("min", (NAN, 5.0, 6.0), 1),
}


@pytest.mark.parametrize(("mode", "values", "kept"), KEPT.values(), ids=KEPT)
def test_the_checkpoint_and_the_history_keep_the_same_validation(tmp_path: Path, mode, values, kept, caplog):
    trainer = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=bool))
    keeper, history = BestCheckpoint(tmp_path, monitor="val/x", mode=mode), History(tmp_path, "val/x", mode)
    best, saved = NAN, None
    for epoch, value in enumerate(values):
        history.rows.append({"epoch": epoch, "val/x": value})
        if keeper.check_monitor_top_k(trainer, torch.tensor(value)):
            saved = epoch
            worst = math.inf if mode == "min" else -math.inf
            keeper.best_k_models = {
                "best.ckpt": torch.tensor(worst if math.isnan(value) else value)
            }  # as Lightning does
            keeper.kth_best_model_path = "best.ckpt"
        if is_best(value, best, mode):
            best = value
    assert saved == kept
    if any(map(math.isfinite, values)):
        assert history.best is not None and history.best["epoch"] == kept
        assert best == values[kept]
    else:
        assert history.best is None
    assert ("val/x is undefined" in caplog.text) == any(map(math.isnan, values))


def test_its_state_has_the_name_that_earlier_runs_gave_it(tmp_path: Path):
    assert BestCheckpoint(tmp_path, monitor="val/x").state_key.startswith("ModelCheckpoint{")
