"""The LightningModule: thin steps around the network, logging of its losses, and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from instseg.core.segmenter import InstanceSegmenter, as_module
from instseg.core.types import Batch, Prediction
from instseg.evaluation.metric_set import MetricSet
from instseg.training.finite import FiniteCheck
from instseg.training.mean_losses import MeanLosses
from instseg.training.progress import steps_left
from instseg.training.resumed_optimizer import OptimizerSettings


class InstanceSegmentationModule(pl.LightningModule):
    """A segmenter under Lightning.

    Args:
        model: the network.
        build_optimizer: called with (model, effective batch size).
        build_scheduler: called with (optimizer, number of optimizer steps of the whole run).
        batch_size: images per process and step, for the effective batch size.
        metrics: name -> metric of every validation and test, as ``MetricSet`` has them.
        callbacks: those that belong to this module; Lightning adds them to the trainer's.
    """

    def __init__(
        self,
        model: InstanceSegmenter,
        build_optimizer: Callable[[nn.Module, int], Optimizer] | None = None,
        build_scheduler: Callable[[Optimizer, int], LRScheduler] | None = None,
        batch_size: int = 1,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[pl.Callback] = (),
    ) -> None:
        super().__init__()
        self.model, self.categories, self.batch_size = model, model.categories, batch_size
        self.build_optimizer, self.build_scheduler = build_optimizer, build_scheduler
        self.metrics = MetricSet(metrics or {})
        self.mean_losses = MeanLosses()
        self.finite = FiniteCheck()
        self.callbacks = list(callbacks)
        self.optimizer_settings: OptimizerSettings | None = None

    @property
    def effective_batch_size(self) -> int:
        """Images per optimizer step over all processes."""
        return self.batch_size * self.trainer.world_size * self.trainer.accumulate_grad_batches

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer, and a schedule that moves with each of its steps."""
        assert self.build_optimizer is not None and self.build_scheduler is not None
        optimizer = self.build_optimizer(as_module(self.model), self.effective_batch_size)
        scheduler = self.build_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        self.optimizer_settings = OptimizerSettings(optimizer, scheduler)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        """Let a restored schedule move the learning rates of this run, where the checkpoint had others."""
        if self.optimizer_settings is not None:
            done = int(self.trainer.estimated_stepping_batches - steps_left(self.trainer))
            self.optimizer_settings.rescale_schedule(None if done == self.global_step else done)

    def configure_callbacks(self) -> list[pl.Callback]:
        """Return the callbacks that belong to this module."""
        return self.callbacks

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the loss, the sum of the network's terms, and its mean over all ranks for the callbacks.

        Raises:
            NonFiniteLossError: this loss, or on a GPU that of the step before, is NaN or infinite.
        """
        losses = self.model.losses(batch)
        loss = torch.stack(list(losses.values())).sum()
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.finite.watch(losses, loss, self.global_step, batch.image_ids, lr)
        *values, total = self._mean_over_ranks(torch.stack([*losses.values(), loss]).detach())
        self.log_dict({f"train/{k}": v for k, v in zip(losses, values, strict=True)}, batch_size=len(batch))
        self.log("train/loss", total, batch_size=len(batch), prog_bar=True)
        self.log("lr", lr, batch_size=len(batch))
        return {"loss": loss, "mean_loss": total}

    def _mean_over_ranks(self, values: Tensor) -> Tensor:
        """Return means over all ranks, in one exchange; Lightning's ``sync_dist`` needs two for each value."""
        if self.trainer.world_size > 1:
            dist.all_reduce(values)
            values /= self.trainer.world_size
        return values

    def on_validation_start(self) -> None:
        """Refuse to measure weights after a loss that is not finite."""
        self.finite.check()

    def on_train_end(self) -> None:
        """Check the loss of the last step."""
        self.finite.check()

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Refuse to save weights after a loss that is not finite."""
        self.finite.check()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, list[Prediction]]:
        """Evaluate one batch; the predictions go to the callbacks."""
        return self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, list[Prediction]]:
        """Evaluate one batch; the predictions go to the callbacks."""
        return self._evaluate(batch)

    def _evaluate(self, batch: Batch) -> dict[str, list[Prediction]]:
        losses, found = self.model.losses_and_predictions(batch)
        predictions = [truth.judged(one) for one, truth in zip(found, batch.ground_truth, strict=True)]
        self.mean_losses.update(losses, len(batch))
        self.metrics.update(predictions, batch.ground_truth)
        return {"predictions": predictions}

    def on_validation_epoch_start(self) -> None:
        """Forget the last evaluation."""
        self._forget_last_evaluation()

    def on_test_epoch_start(self) -> None:
        """Forget the last evaluation."""
        self._forget_last_evaluation()

    def _forget_last_evaluation(self) -> None:
        """Reset at the start of an evaluation, so that callbacks can read its results after its end."""
        self.metrics.reset()
        self.mean_losses.reset()

    def on_validation_epoch_end(self) -> None:
        """Log ``val/...``."""
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        """Log ``test/...``."""
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        losses = self.mean_losses.compute(self.device)
        values: dict[str, Tensor | float] = {**losses, "loss": sum(losses.values())}
        values |= self.metrics.compute(values)
        self.log_dict({f"{stage}/{name}": torch.as_tensor(v, dtype=torch.float32) for name, v in values.items()})
