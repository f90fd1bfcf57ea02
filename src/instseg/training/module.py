"""The LightningModule: thin steps around the model, the losses' log and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric, Metric

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Batch, Prediction
from instseg.evaluation.metric_set import MetricSet
from instseg.models.mask_rcnn import MaskRCNN
from instseg.models.postprocess import detections_to_predictions

LOSS_NAMES = ("loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg")


class NonFiniteLossError(InstsegError):
    """The loss became NaN or infinite; the weights of the last finite step are still in place."""


class InstanceSegmentationModule(pl.LightningModule):
    """Mask R-CNN under Lightning.

    Args:
        model: the network.
        categories: names of its labels 1...
        build_optimizer: called with (model, effective batch size).
        build_scheduler: called with (optimizer, number of optimizer steps of the whole run).
        batch_size: images per process and step, for the effective batch size.
        metrics: name -> metric of every validation and test, as ``MetricSet`` has them.
    """

    def __init__(
        self,
        model: MaskRCNN,
        categories: Categories,
        build_optimizer: Callable[[nn.Module, int], Optimizer] | None = None,
        build_scheduler: Callable[[Optimizer, int], LRScheduler] | None = None,
        batch_size: int = 1,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.categories, self.batch_size = model, categories, batch_size
        self.build_optimizer, self.build_scheduler = build_optimizer, build_scheduler
        self.metrics = MetricSet(metrics or {})
        self.eval_losses = nn.ModuleDict({name: MeanMetric() for name in LOSS_NAMES})

    @property
    def effective_batch_size(self) -> int:
        """Images per optimizer step over all processes."""
        return self.batch_size * self.trainer.world_size * self.trainer.accumulate_grad_batches

    def configure_optimizers(self) -> OptimizerLRScheduler:
        assert self.build_optimizer is not None and self.build_scheduler is not None
        optimizer = self.build_optimizer(self.model, self.effective_batch_size)
        scheduler = self.build_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses, _ = self.model(batch.images, batch.image_sizes, batch.targets)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise self._non_finite(losses, batch)
        *values, total = self._mean_over_ranks(torch.stack([*losses.values(), loss]).detach())
        self.log_dict({f"train/{k}": v for k, v in zip(losses, values, strict=True)}, batch_size=len(batch))
        self.log("train/loss", total, batch_size=len(batch), prog_bar=True)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=len(batch))
        return loss

    def _mean_over_ranks(self, values: Tensor) -> Tensor:
        """All in one go: ``sync_dist`` of Lightning's log would wait for all ranks, twice for each value."""
        if self.trainer.world_size > 1:
            dist.all_reduce(values)
            values /= self.trainer.world_size
        return values

    def _non_finite(self, losses: dict[str, Tensor], batch: Batch) -> NonFiniteLossError:
        terms = ", ".join(f"{name}={value.item():.4g}" for name, value in losses.items())
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        return NonFiniteLossError(
            f"the loss is not finite at step {self.global_step}: {terms}; image ids {batch.image_ids}; lr {lr:.3g}. "
            "Try a smaller optimizer.lr, more scheduler.warmup_steps, or trainer.gradient_clip_val=1"
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, list[Prediction]]:
        return self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, list[Prediction]]:
        return self._evaluate(batch)

    def _evaluate(self, batch: Batch) -> dict[str, list[Prediction]]:
        """Losses and predictions from one pass; the predictions go to the callbacks that draw them."""
        losses, detections = self.model(batch.images, batch.image_sizes, batch.targets)
        for name, value in losses.items():
            metric = self.eval_losses[name]
            assert isinstance(metric, MeanMetric)
            metric.update(value, weight=len(batch))
        predictions = detections_to_predictions(detections, batch.image_sizes, batch.image_ids, batch.original_sizes)
        self.metrics.update(predictions, batch.ground_truth)
        return {"predictions": predictions}

    def on_validation_epoch_start(self) -> None:
        self._forget_last_evaluation()

    def on_test_epoch_start(self) -> None:
        self._forget_last_evaluation()

    def _forget_last_evaluation(self) -> None:
        """At the start, so that callbacks find at its end what was measured."""
        self.metrics.reset()
        for metric in self.eval_losses.values():
            metric.reset()  # type: ignore[operator]

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        losses = {name: metric.compute() for name, metric in self.eval_losses.items()}  # type: ignore[operator]
        values: dict[str, Any] = {**losses, "loss": sum(losses.values()), **self.metrics.compute()}
        self.log_dict({f"{stage}/{name}": torch.as_tensor(v, dtype=torch.float32) for name, v in values.items()})
