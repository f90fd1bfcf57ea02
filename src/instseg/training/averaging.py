"""Averages of the weights over a training, used for validation, the best checkpoint and prediction.

They differ from Lightning's callback in this: a checkpoint tested right after the training is tested with its averaged
weights, an average that has not begun is not used, and constants stay the same to the bit. The average of Lightning's
StochasticWeightAveraging is neither validated nor saved in the best checkpoint: see docs/resume.md.
"""

from __future__ import annotations

import logging
from functools import partial

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from instseg.core.errors import InstsegError
from instseg.core.records import convert_plain

log = logging.getLogger(__name__)


class ExponentialAverage(WeightAveraging):
    """An exponential moving average: each optimizer step moves it by ``1 - decay`` of its distance to the weights.

    Lightning's ``decay * average + (1 - decay) * weights`` rounds. So constants that no checkpoint holds, such as the
    mean of the normalisation, would drift, and a resumed run would start from their exact values again.

    Args:
        decay: from 0 to below 1; closer to 1 averages over more steps.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise InstsegError(f"callbacks.ema.decay={decay}: expected a number from 0 to below 1")
        super().__init__(avg_fn=partial(_moved, fraction=1 - decay))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ``on_fit_end``: other callbacks still save the weights that the training resumes from."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the model."""
        super().on_train_end(trainer, pl_module)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Resume the average; a test or a prediction uses the weights as they are saved."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def _moved(average: Tensor, weights: Tensor, num_averaged: Tensor | int, fraction: float) -> Tensor:
    return average + (weights - average) * fraction


class AverageOfEpochs(WeightAveraging):
    """The mean of the weights at the ends of the last epochs (stochastic weight averaging; Izmailov et al., 2018).

    Args:
        start: fraction of the epochs after which averaging begins.
    """

    def __init__(self, start: float) -> None:
        if not 0 <= start < 1:
            raise InstsegError(f"callbacks.swa.start={start}: expected a fraction of the epochs, from 0 to below 1")
        super().__init__()
        self.start = start
        self._first_epoch: int | None = None  # in the average

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        return {**super().state_dict(), "first_epoch": self._first_epoch}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume."""
        super().load_state_dict(state_dict)
        first, where = state_dict.get("first_epoch"), f"state of {type(self).__name__}"
        self._first_epoch = None if first is None else convert_plain(first, int, where, "use another checkpoint")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Require a number of epochs; drop a resumed average of epochs that are none of the last ones any more."""
        if trainer.max_epochs in (None, -1):
            raise InstsegError("callbacks=swa averages the last epochs, and trainer.max_epochs does not say how many")
        if self._first_epoch is not None and self._first_epoch < self.start * trainer.max_epochs:
            assert self._average_model is not None
            self._average_model.n_averaged.zero_()
            self._first_epoch = None
            rank_zero_only(log.info)("The average in the checkpoint began too early for the settings of now: dropped")

    @property
    def _has_begun(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Update the average at the end of an epoch, before the validation that measures it."""
        assert self._average_model is not None and trainer.max_epochs is not None
        if trainer.is_last_batch and trainer.current_epoch >= self.start * trainer.max_epochs:
            self._first_epoch = self._first_epoch if self._has_begun else trainer.current_epoch
            self._average_model.update_parameters(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Do nothing: the weights of the epoch are in the average already."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the average into the model, once it has begun."""
        if self._has_begun:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the weights of the training back in."""
        if self._has_begun:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for ``on_fit_end``: other callbacks still save the weights that the training resumes from."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the model."""
        if self._has_begun:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Save the average, once it has begun, and the weights that the training resumes from."""
        if self._has_begun:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Resume the average; a test or a prediction uses the weights as they are saved."""
        if trainer.state.fn == TrainerFn.FITTING and "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
