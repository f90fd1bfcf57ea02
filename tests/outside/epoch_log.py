"""A callback: a line for each epoch in a text file of the run."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only


class EpochLog(Callback):
    """Appends ``epoch 3: val/segm_map 0.412`` after every validation of the training.

    Args:
        folder: of the run.
        metric: the logged number to write down.
    """

    def __init__(self, folder: str, metric: str) -> None:
        self.path, self.metric = Path(folder) / "epochs.txt", metric

    @rank_zero_only
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the line of this epoch."""
        if trainer.sanity_checking:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(
                f"epoch {trainer.current_epoch}: {self.metric} {float(trainer.callback_metrics[self.metric]):.3f}\n"
            )
