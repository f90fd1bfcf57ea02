"""Callbacks of a resumed training work with the settings of now, not with those in the checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from instseg.checkpoints.resumed_callbacks import drop_average_of_others, keep_settings
from instseg.training.averaging import AverageOfEpochs, ExponentialAverage

EMA = {"ExponentialAverage": {"latest_update_step": 7}}


def test_a_setting_that_has_changed_is_that_of_now_and_progress_stays():
    before, now = EarlyStopping("val/loss", patience=2), EarlyStopping("val/loss", patience=50)
    before.wait_count = 1
    states = {before.state_key: before.state_dict()}
    keep_settings(states, [now], {"callbacks.early_stopping.patience": (2, 50)})
    now.load_state_dict(states[before.state_key])
    assert (now.patience, now.wait_count) == (50, 1)


def test_a_setting_that_has_not_changed_is_left_to_the_callback_which_may_have_moved_it():
    callback = EarlyStopping("val/loss", patience=2)
    states = {callback.state_key: {**callback.state_dict(), "patience": 3}}
    keep_settings(states, [callback], {"optimizer.patience": (2, 3)})
    assert states[callback.state_key]["patience"] == 3


def averaged() -> dict[str, object]:
    return {
        "state_dict": {"weight": torch.zeros(1, 1)},
        "current_model_state": {"weight": torch.ones(1, 1)},
        "averaging_state": {"n_averaged": torch.tensor(4)},
    }


@pytest.mark.parametrize("callbacks", [[], [AverageOfEpochs(0.5)]], ids=["no average", "another average"])
def test_an_average_that_is_none_of_now_is_dropped_and_the_trained_weights_resumed(callbacks):
    checkpoint, network = averaged(), nn.Linear(1, 1, bias=False)
    drop_average_of_others(checkpoint, EMA, callbacks, network)
    assert network.weight.item() == 1
    assert checkpoint == {"state_dict": {"weight": torch.ones(1, 1)}}


def test_the_same_average_is_resumed():
    checkpoint = averaged()
    drop_average_of_others(checkpoint, EMA, [ExponentialAverage(0.9)], nn.Linear(1, 1, bias=False))
    assert checkpoint.keys() == averaged().keys()


@pytest.mark.parametrize(("max_epochs", "kept"), [(10, 3), (20, 0)])
def test_an_average_of_epochs_that_are_none_of_the_last_any_more_begins_anew(max_epochs, kept):
    average = AverageOfEpochs(0.75)
    average._average_model = torch.optim.swa_utils.AveragedModel(nn.Linear(1, 1))
    average._average_model.n_averaged.fill_(3)
    average.load_state_dict({"latest_update_step": 9, "first_epoch": 8})
    average.on_fit_start(SimpleNamespace(max_epochs=max_epochs), None)
    assert average._average_model.n_averaged.item() == kept
