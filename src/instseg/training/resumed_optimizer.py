"""Settings of optimizer and schedule that a resumed run has and its checkpoint not: Lightning restores the latter."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pytorch_lightning.utilities import rank_zero_only
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from instseg.training.resumed_schedule import ScheduleSettings, with_base_lrs

log = logging.getLogger(__name__)

BUILT_LR = "built_lr"
"""Entry of a parameter group: the learning rate before any schedule. ``initial_lr`` is the latest schedule's."""
OF_THE_TRAINING = ("params", "lr", "initial_lr", BUILT_LR, "swa_lr")
"""Entries of a parameter group that the schedule moves, or that are no settings."""

Settings = dict[str, object]


class OptimizerSettings:
    """The settings of a new optimizer and its schedule, which they are given again after a checkpoint is restored.

    Args:
        optimizer: before anything is restored.
        scheduler: of the optimizer.
    """

    def __init__(self, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        self._scheduler = scheduler
        self._lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        for group, lr in zip(optimizer.param_groups, self._lrs, strict=True):
            group[BUILT_LR] = lr
        self._others = [_settings(group) for group in optimizer.param_groups]
        self._ratios = [1.0] * len(self._lrs)
        self._schedule = ScheduleSettings(scheduler)
        optimizer.register_load_state_dict_post_hook(self._apply)

    def rescale_schedule(self, steps: int | None) -> None:
        """Let the schedule, restored after the optimizer, move the learning rates that this has now.

        Args:
            steps: as many as the epochs that are done have with the batch size of now, where it was another then.
        """
        self._schedule.apply()
        for schedule in with_base_lrs(self._scheduler):
            schedule.base_lrs = [lr * ratio for lr, ratio in zip(schedule.base_lrs, self._ratios, strict=True)]
        if steps is None:
            return
        if not isinstance(self._scheduler, LambdaLR):
            rank_zero_only(log.warning)(
                "%s stays at step %d, where the epochs that are done have %d steps now: it will not end with the last",
                type(self._scheduler).__name__, self._scheduler.last_epoch, steps,
            )  # fmt: skip
            return
        done, self._scheduler.last_epoch = self._scheduler.last_epoch, steps
        scaled = zip(self._scheduler.base_lrs, self._scheduler.lr_lambdas, strict=True)
        for group, (lr, factor) in zip(self._scheduler.optimizer.param_groups, scaled, strict=True):
            group["lr"] = lr * factor(steps)
        if done != steps:
            rank_zero_only(log.info)("The schedule stands at step %d, not %d: epochs have other steps now", steps, done)

    def _apply(self, optimizer: Optimizer) -> None:
        """Change what differs, and say so; what is equal is not touched."""
        said = []
        for index, (group, lr) in enumerate(zip(optimizer.param_groups, self._lrs, strict=True)):
            before, then = _built_lr(group, lr), _settings(group)
            if before != lr:
                ratio = self._ratios[index] = lr / before
                group["lr"], group["initial_lr"] = group["lr"] * ratio, group["initial_lr"] * ratio
                said.append(f"learning rate {before:.3g} -> {lr:.3g}, with its schedule")
            group[BUILT_LR] = lr
            for name in (name for name, value in self._others[index].items() if then.get(name) != value):
                group[name] = self._others[index][name]
                said.append(f"{name} {then.get(name)} -> {group[name]}")
        if said:
            rank_zero_only(log.info)("The resumed optimizer has other settings now: %s", "; ".join(dict.fromkeys(said)))


def _built_lr(group: Mapping[str, object], lr: float) -> float:
    """Return the learning rate that a restored group was built with; checkpoints of early versions do not name it."""
    initial = lr if "swa_lr" in group else group["initial_lr"]
    return float(str(group.get(BUILT_LR, initial)))


def _settings(group: Mapping[str, object]) -> Settings:
    """Return the settings of a parameter group; pairs are lists in a checkpoint."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in group.items()
        if name not in OF_THE_TRAINING
    }
