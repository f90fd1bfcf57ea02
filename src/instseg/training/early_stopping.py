"""Early stopping that waits where the monitored metric is undefined."""

from __future__ import annotations

import pytorch_lightning.callbacks
import torch
from pytorch_lightning import LightningModule, Trainer


class EarlyStopping(pytorch_lightning.callbacks.EarlyStopping):
    """Stop of a training whose monitored metric has not improved for a while.

    With ``check_finite=false`` Lightning's own counts a validation whose metric is undefined as one without
    improvement, and ends a training of which nothing is known. Here such a validation counts as none.
    """

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the metric, where it is defined."""
        if self._is_judged(trainer):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the metric, where it is defined and one of the training."""
        if self._is_judged(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def _is_judged(self, trainer: Trainer) -> bool:
        value = trainer.callback_metrics.get(self.monitor)
        return value is None or self.check_finite or bool(torch.isfinite(value))
