"""Settings of a schedule that a resumed run has and its checkpoint has not.

Most schedules restore milestones, factors and lengths together with their step, so that those of now would be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import deepcopy
from typing import cast

from pytorch_lightning.utilities import rank_zero_only
from torch.optim.lr_scheduler import LRScheduler

log = logging.getLogger(__name__)

BUILT = "built"
"""Attribute of a schedule, and so an entry of its state: the state before its first step."""
OF_THE_OPTIMIZER = {"base_lrs", "_last_lr"}
"""Entries that follow the learning rates of the optimizer."""

State = dict[str, object]


class ScheduleSettings:
    """The settings of a new schedule, which it is given again after the state of a checkpoint is restored.

    A setting is what differs between the new schedule of the checkpoint and that of now; all else is progress.

    Args:
        scheduler: before anything is restored.
    """

    def __init__(self, scheduler: LRScheduler) -> None:
        self._scheduler, self._built = scheduler, _state(scheduler)
        setattr(scheduler, BUILT, self._built)

    def apply(self) -> None:
        """Change what differs, and say so; checkpoints of early versions do not name the settings of then."""
        then = getattr(self._scheduler, BUILT)
        setattr(self._scheduler, BUILT, self._built)
        state = _state(self._scheduler)
        wanted = _with_settings(state, then, self._built)
        if changed := [name for name, value in wanted.items() if state[name] != value]:
            self._scheduler.load_state_dict(wanted)
            rank_zero_only(log.info)("The resumed schedule has other settings now: %s", ", ".join(changed))


def with_base_lrs(scheduler: LRScheduler) -> Iterator[LRScheduler]:
    """Iterate over a schedule and those that it consists of: SequentialLR has no learning rates of its own."""
    if hasattr(scheduler, "base_lrs"):
        yield scheduler
    for part in getattr(scheduler, "_schedulers", ()):
        yield from with_base_lrs(part)


def _state(scheduler: LRScheduler) -> State:
    return deepcopy(cast("State", scheduler.state_dict()))


def _with_settings(state: State, then: State, now: State) -> State:
    """Return a state with the values of now where a new schedule had others then."""
    settings = (state.keys() & then.keys() & now.keys()) - OF_THE_OPTIMIZER
    return {**state, **{name: _value(state[name], then[name], now[name]) for name in settings}}


def _value(state: object, then: object, now: object) -> object:
    if then == now:
        return state
    if type(state) is type(then) is type(now) is dict:  # of a part of the schedule; milestones are a Counter
        return _with_settings(state, then, now)
    if isinstance(state, list) and isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [_value(*each) for each in zip(state, then, now, strict=True)]
    return now
