"""A schedule whose state is restored goes on from there with the settings that it was built with now."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, MultiStepLR, OneCycleLR, SequentialLR

from instseg.training.resumed_optimizer import OptimizerSettings

Build = Callable[[torch.optim.Optimizer], LRScheduler]
DONE, LEFT = 5, 5


class Decay:
    """A factor that is an object, of which LambdaLR saves the variables."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, step: int) -> float:
        return self.base**step


def warmed_up(base: float) -> Build:
    return lambda optimizer: SequentialLR(
        optimizer, [LinearLR(optimizer, 0.1, total_iters=3), LambdaLR(optimizer, Decay(base))], [3]
    )


PAIRS: dict[str, tuple[Build, Build]] = {
    "milestones and factor": (lambda o: MultiStepLR(o, [20]), lambda o: MultiStepLR(o, [7], gamma=0.5)),
    "a factor of the user's own": (lambda o: LambdaLR(o, Decay(0.9)), lambda o: LambdaLR(o, Decay(0.5))),
    "length": (lambda o: OneCycleLR(o, 0.01, total_steps=20), lambda o: OneCycleLR(o, 0.01, total_steps=40)),
    "a part of several": (warmed_up(0.9), warmed_up(0.5)),
    "nothing": (lambda o: MultiStepLR(o, [7]), lambda o: MultiStepLR(o, [7])),
}


def built(build: Build, lr: float) -> tuple[torch.optim.Optimizer, LRScheduler, OptimizerSettings]:
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=lr, momentum=0.9)
    scheduler = build(optimizer)
    return optimizer, scheduler, OptimizerSettings(optimizer, scheduler)


def rates(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, steps: int) -> list[float]:
    """The learning rate after each of some steps."""
    found = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def saved_and_loaded(*states: object) -> list[dict]:
    file = io.BytesIO()
    torch.save(states, file)
    file.seek(0)
    return list(torch.load(file, weights_only=True))


@pytest.mark.parametrize("lr", [1e-3, 2e-3])
@pytest.mark.parametrize(("then", "now"), PAIRS.values(), ids=PAIRS)
def test_it_goes_on_like_a_new_one_that_has_done_as_many_steps(then, now, lr):
    before, schedule, _ = built(then, 1e-3)
    rates(before, schedule, DONE)
    states = saved_and_loaded(before.state_dict(), schedule.state_dict())
    optimizer, scheduler, wanted = built(now, lr)
    optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    wanted.rescale_schedule(None)
    fresh = built(now, lr)
    assert rates(optimizer, scheduler, LEFT) == pytest.approx(rates(*fresh[:2], DONE + LEFT)[DONE:])


def test_one_that_cannot_be_moved_to_the_step_of_the_epochs_says_so(caplog):
    _, _, wanted = built(PAIRS["length"][0], 1e-3)
    wanted.rescale_schedule(18)
    assert "OneCycleLR stays at step 0, where the epochs that are done have 18 steps now" in caplog.text
