"""Callback that keeps what a test has found beside what is there, for the report."""

from __future__ import annotations

import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.core.types import Batch, GroundTruth, Prediction
from instseg.training.trainer_parts import predictions_of


class EvaluatedImagesKeeper(Callback):
    """Keeper of the predictions and the ground truth of the last test; the first rank has those of all ranks.

    Masks are kept as run-lengths: about 0.5 kB for each instance.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[Prediction, GroundTruth]] = []

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the test before."""
        self.pairs = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch."""
        self.pairs.extend(zip(predictions_of(outputs), batch.ground_truth, strict=True))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the images of all ranks on the first."""
        if trainer.world_size > 1:
            gathered: list[list[tuple[Prediction, GroundTruth]]] | None = None
            if trainer.is_global_zero:
                gathered = [[] for _ in range(trainer.world_size)]
            dist.gather_object(self.pairs, gathered)
            self.pairs = [pair for pairs in gathered or () for pair in pairs]
