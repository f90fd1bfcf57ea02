"""Callbacks that break a training, for the config of a command: +callbacks.fault._target_=faults.FailOnRank."""

from __future__ import annotations

import os
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.module import NonFiniteLossError


class FailOnRank(Callback):
    """Raises what a diverging training raises, on one rank, before the batch after so many steps.

    Not again in ranks that torchrun has started anew.
    """

    def __init__(self, rank: int, step: int) -> None:
        self.rank, self.step = rank, step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        is_again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
        if trainer.global_rank == self.rank and trainer.global_step == self.step and not is_again:
            raise NonFiniteLossError("the loss is not finite, for this test")
