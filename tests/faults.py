"""Callbacks that break a training, for the config of a command: +callbacks.fault._target_=faults.FailOnRank.

The command's environment has FAULTS, so that all processes of it find them.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.training.finite import NonFiniteLossError

FAULTS = {"PYTHONPATH": str(Path(__file__).parent)}


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


class PressCtrlC(Callback):
    """As a terminal does it, to all processes of a command, before the batch after so many steps.

    Not when the training goes on.
    """

    def __init__(self, step: int) -> None:
        self.step, self.begins_anew = step, False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begins_anew = trainer.global_step == 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.is_global_zero and trainer.global_step == self.step and self.begins_anew:
            os.killpg(os.getpgrp(), signal.SIGINT)


class TerminateInValidation(Callback):
    """As a scheduler that reaches one rank alone, in the validation after so many steps.

    Not again in ranks that torchrun has started anew.
    """

    def __init__(self, rank: int, step: int) -> None:
        self.rank, self.step = rank, step

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
        if trainer.global_rank == self.rank and trainer.global_step == self.step and not is_again:
            os.kill(os.getpid(), signal.SIGTERM)
