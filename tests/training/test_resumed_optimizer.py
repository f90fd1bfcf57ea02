"""An optimizer whose state is restored keeps the settings that it was built with now."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from instseg.training.resumed_optimizer import OptimizerSettings

NETWORK = nn.Linear(2, 1)


def built(**settings: object) -> tuple[torch.optim.AdamW, LRScheduler, OptimizerSettings]:
    optimizer = torch.optim.AdamW(NETWORK.parameters(), **{"lr": 1e-3, "weight_decay": 0.01, **settings})
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    return optimizer, scheduler, OptimizerSettings(optimizer, scheduler)


def resumed(**settings: object) -> tuple[torch.optim.AdamW, LRScheduler]:
    """The state after one step at the settings of ``built``, restored into an optimizer with others."""
    before, schedule, _ = built()
    NETWORK(torch.ones(1, 2)).sum().backward()
    before.step()
    schedule.step()
    optimizer, scheduler, wanted = built(**settings)
    optimizer.load_state_dict(before.state_dict())
    scheduler.load_state_dict(schedule.state_dict())
    wanted.rescale_schedule(None)
    return optimizer, scheduler


def test_nothing_is_said_or_changed_where_all_is_as_it_was(caplog):
    with caplog.at_level(logging.INFO):
        optimizer, scheduler = resumed()
    assert not caplog.records
    assert optimizer.param_groups[0]["lr"] == 1e-3 / 2 and scheduler.base_lrs == [1e-3]


def test_another_learning_rate_is_where_the_schedule_is_and_moves_on_with_it(caplog):
    with caplog.at_level(logging.INFO):
        optimizer, scheduler = resumed(lr=4e-3)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(4e-3 / 2)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(4e-3 / 3)
    assert "learning rate 0.001 -> 0.004, with its schedule" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("weight_decay", 0.5), ("betas", (0.8, 0.9)), ("eps", 1e-6)])
def test_any_other_setting_is_the_new_one(caplog, name, value):
    with caplog.at_level(logging.INFO):
        optimizer, _ = resumed(**{name: value})
    assert optimizer.param_groups[0][name] == value and optimizer.param_groups[0]["lr"] == 1e-3 / 2
    assert f"{name} " in caplog.text and f"-> {value}" in caplog.text


def test_a_schedule_stands_where_the_epochs_do_when_an_epoch_has_other_steps_now(caplog):
    optimizer, scheduler, wanted = built()
    with caplog.at_level(logging.INFO):
        wanted.rescale_schedule(18)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 19)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 20)
    assert "at step 18, not 0" in caplog.text
