"""The LightningModule of a run, its optimizer and its schedule."""

from __future__ import annotations

from collections.abc import Callable

from pytorch_lightning import Callback
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from instseg.app.config import Node, RunConfig
from instseg.app.instantiate import build, build_call, of_kind
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
    module = InstanceSegmentationModule(model, optimizer, scheduler, config.batch_size, metrics, callbacks)
    module.metrics.check_names()
    return module


def build_optimizer(node: Node) -> Callable[[nn.Module, int], Optimizer]:
    """Return the call that makes the optimizer from (model, effective batch size)."""
    call = build_call(node, "optimizer")
    return lambda model, batch_size: of_kind(call(model, batch_size), Optimizer, "optimizer")


def build_scheduler(node: Node) -> Callable[[Optimizer, int], LRScheduler]:
    """Return the call that makes the schedule from (optimizer, number of optimizer steps)."""
    call = build_call(node, "scheduler")
    return lambda optimizer, num_steps: of_kind(call(optimizer, num_steps), LRScheduler, "scheduler")


def _metric(name: str, node: Node, categories: Categories) -> Metric:
    metric = build(node, categories)
    if not isinstance(metric, Metric):
        raise InstsegError(f"metrics.{name}: expected a torchmetrics.Metric, found {type(metric).__name__}")
    return metric
