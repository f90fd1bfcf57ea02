"""The facts of a training when it starts: its size, its device, and after a few steps how long it will take."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.core.text import duration, plural
from instseg.core.types import Batch
from instseg.data.datamodule import InstanceDataModule
from instseg.training.progress import progress_of
from instseg.training.trainer_parts import data_of, train_loader_of

log = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""The first steps take longer: memory is allocated, and kernels are chosen."""
MEASURED_SECONDS, MEASURED_STEPS = 10.0, 30
"""The time left is estimated after so long, or so many steps, whatever comes first."""


class StartReport(Callback):
    """Log of what is trained, on what, how large it is and where it is saved; then of the time that it will take.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._steps = 0
        self._warm_since = 0.0
        self._is_estimated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the facts."""
        if trainer.is_global_zero:
            for title, text in facts(trainer, pl_module):
                log.info("%-8s %s", title, text)
            log.info("%-8s %s", "folder", self.folder)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Log the time left, once, when enough steps are measured."""
        if self._is_estimated or not trainer.is_global_zero:
            return
        self._steps += 1
        if self._steps == WARM_UP_STEPS:
            self._warm_since = time.monotonic()
        measured, seconds = self._steps - WARM_UP_STEPS, time.monotonic() - self._warm_since
        if measured > 0 and (seconds >= MEASURED_SECONDS or measured >= MEASURED_STEPS):
            self._is_estimated = True
            self._estimate(trainer, seconds / measured)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the estimate to the line of the first validation, where that comes sooner."""
        self._is_estimated |= not trainer.sanity_checking

    def _estimate(self, trainer: Trainer, seconds_per_batch: float) -> None:
        progress = progress_of(trainer)
        left = (progress.all_steps - progress.steps) * trainer.accumulate_grad_batches * seconds_per_batch
        if math.isfinite(left):
            log.info("%-8s about %s for the steps that are left, without the validations", "time", duration(left))


def facts(trainer: Trainer, module: LightningModule) -> Iterator[tuple[str, str]]:
    """Yield title and text of each line.

    Args:
        trainer: whose training has started.
        module: that is trained.
    """
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    network = type(getattr(module, "model", module)).__name__
    all_sizes = _millions(sum(size for size, _ in sizes))
    yield "model", f"{network}, {all_sizes} parameters, {_millions(trained)} of them trained"
    data = data_of(trainer)
    if isinstance(data, InstanceDataModule):
        counts = {split: len(index) for split, index in data.prepared.indices.items()}
        yield "data", ", ".join(f"{split} {plural(count, 'image')}" for split, count in counts.items())
        if (factors := data.repeat_factors()) is not None:
            yield "repeats", f"images of rare categories come up to {factors.max():.1f} times in an epoch"
    yield "length", _length(trainer, data.batch_size)
    yield "device", _device(trainer)
    optimizer = trainer.optimizers[0]
    group = optimizer.param_groups[0]
    rate = group.get("initial_lr", group["lr"])
    images = data.batch_size * trainer.world_size * trainer.accumulate_grad_batches
    yield (
        "rate",
        f"{type(optimizer).__name__}, learning rate {rate:.4g}, scaled to {plural(images, 'image')} a step",
    )


def _length(trainer: Trainer, batch_size: int) -> str:
    progress = progress_of(trainer)
    if not math.isfinite(progress.all_steps):
        return "until it is stopped"
    a_step = f"{batch_size} x {trainer.world_size} x {trainer.accumulate_grad_batches}"
    images = batch_size * trainer.world_size * trainer.accumulate_grad_batches
    detail = f" ({a_step}: batch, processes, accumulated)" if images != batch_size else ""
    steps, epochs = plural(int(progress.all_steps), "step"), plural(math.ceil(progress.all_epochs), "epoch")
    done = f", {progress.steps:,} of them done" if progress.steps else ""
    return f"{epochs}, {steps} of {plural(images, 'image')}{detail}{done}"


def _device(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    processes = plural(trainer.world_size, "process")
    threads, loaders = plural(torch.get_num_threads(), "thread"), plural(train_loader_of(trainer).num_workers, "loader")
    return ", ".join((name, str(trainer.precision), processes, threads, loaders))


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count:,}"
