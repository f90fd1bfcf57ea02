"""Settings of an optimizer that a resumed run has and its checkpoint has not: Lightning restores the checkpoint's."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pytorch_lightning.utilities import rank_zero_only
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

log = logging.getLogger(__name__)

OF_THE_TRAINING = ("params", "lr", "initial_lr")
"""Entries of a parameter group that the schedule moves, or that are no settings."""

Settings = dict[str, object]


class OptimizerSettings:
    """The settings of a new optimizer, which it is given again whenever the state of a checkpoint is restored.

    Args:
        optimizer: with its schedule, before anything is restored.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self._others = [_settings(group) for group in optimizer.param_groups]
        self._is_rescaled = False
        optimizer.register_load_state_dict_post_hook(self._apply)

    def rescale(self, scheduler: LRScheduler) -> None:
        """Let a restored schedule move the learning rates that the optimizer has now, if they are others.

        Args:
            scheduler: of the optimizer.
        """
        if self._is_rescaled:
            scheduler.base_lrs = list(self._lrs)

    def _apply(self, optimizer: Optimizer) -> None:
        """Change what differs, and say so; what is equal is not touched."""
        said = []
        for group, lr, others in zip(optimizer.param_groups, self._lrs, self._others, strict=True):
            before, then = float(group["initial_lr"]), _settings(group)
            if before != lr:
                group["lr"], group["initial_lr"], self._is_rescaled = group["lr"] * lr / before, lr, True
                said.append(f"learning rate {before:.3g} -> {lr:.3g}, with its schedule")
            for name in (name for name, value in others.items() if then.get(name) != value):
                group[name] = others[name]
                said.append(f"{name} {then.get(name)} -> {group[name]}")
        if said:
            rank_zero_only(log.info)("The resumed optimizer has other settings now: %s", "; ".join(dict.fromkeys(said)))


def _settings(group: Mapping[str, object]) -> Settings:
    """Return the settings of a parameter group; pairs are lists in a checkpoint."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in group.items()
        if name not in OF_THE_TRAINING
    }
