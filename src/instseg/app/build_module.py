"""The LightningModule of a run."""

from __future__ import annotations

from pytorch_lightning import Callback
from torchmetrics import Metric

from instseg.app.build import build, build_optimizer, build_scheduler
from instseg.app.config import Node, RunConfig
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.segmenter import InstanceSegmenter
from instseg.training.module import InstanceSegmentationModule


def build_module(config: RunConfig, model: InstanceSegmenter, *callbacks: Callback) -> InstanceSegmentationModule:
    """Wrap a network for training, with the optimizer and schedule of the run.

    Args:
        config: of the run.
        model: the network.
        callbacks: those that belong to the module.
    """
    optimizer, scheduler = build_optimizer(config.optimizer), build_scheduler(config.scheduler)
    metrics = {name: _metric(name, node, model.categories) for name, node in config.metrics.items() if node is not None}
    return InstanceSegmentationModule(model, optimizer, scheduler, config.batch_size, metrics, callbacks)


def _metric(name: str, node: Node, categories: Categories) -> Metric:
    metric = build(node, categories)
    if not isinstance(metric, Metric):
        raise InstsegError(f"metrics.{name}: expected a torchmetrics.Metric, found {type(metric).__name__}")
    return metric
