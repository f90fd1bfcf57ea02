"""Averages of the weights over the training, which are what is validated, saved as best and predicted with.

Lightning's own callback, but for this: a checkpoint that is tested right after the training is tested with its averaged
weights, an average that has not begun takes no part, and what is constant stays so to the bit. The average of its other
callback, StochasticWeightAveraging, is neither validated nor in the best checkpoint: see docs/resume.md.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from instseg.core.errors import InstsegError


class ExponentialAverage(WeightAveraging):
    """The average moves by ``1 - decay`` of its distance to the weights after every optimizer step, from the first on.

    Lightning's ``decay * average + (1 - decay) * weights`` rounds: constants that no checkpoint holds, such as the mean
    of all pictures, drift, and a run that goes on begins with them anew.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise InstsegError(f"callbacks.ema.decay={decay}: expected a number from 0 to below 1")
        super().__init__(avg_fn=partial(_moved, share=1 - decay))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ``on_fit_end``: other callbacks still save the weights that the training resumes from."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def _moved(average: Tensor, weights: Tensor, num_averaged: Tensor | int, share: float) -> Tensor:
    return average + (weights - average) * share


class AverageOfEpochs(WeightAveraging):
    """The mean of the weights at the ends of the last epochs (stochastic weight averaging; Izmailov et al., 2018).

    Args:
        start: share of the epochs after which averaging begins.
    """

    def __init__(self, start: float) -> None:
        if not 0 <= start < 1:
            raise InstsegError(f"callbacks.swa.start={start}: expected a share of the epochs, from 0 to below 1")
        super().__init__()
        self.start = start

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.max_epochs in (None, -1):
            raise InstsegError("callbacks=swa averages the last epochs, and trainer.max_epochs does not say how many")

    @property
    def _has_begun(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before the validation of the epoch, which measures this average."""
        assert self._average_model is not None and trainer.max_epochs is not None
        if trainer.is_last_batch and trainer.current_epoch >= self.start * trainer.max_epochs:
            self._average_model.update_parameters(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing is left to do: the epoch's weights are in the average."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_begun:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_begun:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ``on_fit_end``: other callbacks still save the weights that the training resumes from."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_begun:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._has_begun:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING and "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
