"""Lightning's progress bar, whose epochs begin at 1 as everywhere else."""

from __future__ import annotations

from pytorch_lightning.callbacks import RichProgressBar


class EpochProgressBar(RichProgressBar):
    """Progress bar of each epoch, evaluation included."""

    def _get_train_description(self, current_epoch: int) -> str:
        """Return ``Epoch 3/20``; Lightning counts from 0."""
        last = self.trainer.max_epochs
        return f"Epoch {current_epoch + 1}" + (f"/{last}" if last is not None and last > 0 else "")
