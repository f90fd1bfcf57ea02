"""Progress of a training: its finished steps, and the moments at which its state is complete."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, cast

from pytorch_lightning import Trainer


class _Counts(Protocol):
    """Counts of Lightning's loops, which declare a class without them."""

    ready: int
    started: int
    processed: int


def steps_done(trainer: Trainer) -> tuple[int, int]:
    """Return the number of whole epochs and of batches of the current one, also after the end of the training."""
    epochs = _epochs(trainer)
    batches = _batches(trainer)
    is_over = epochs.processed == epochs.ready  # the epoch was counted, whole or not
    if is_over and 0 < batches.processed < trainer.num_training_batches:
        return epochs.processed - 1, batches.processed
    return epochs.processed, 0 if is_over else batches.processed


def is_before_step(trainer: Trainer) -> bool:
    """Tell whether a batch is loaded and its step has not begun."""
    batches = _batches(trainer)
    return batches.ready == batches.started + 1


def is_between_optimizer_steps(trainer: Trainer) -> bool:
    """Tell whether there are no accumulated gradients, which a checkpoint does not hold."""
    batches = _batches(trainer).processed
    accumulated = trainer.accumulate_grad_batches
    return batches % accumulated == 0 or batches >= trainer.num_training_batches


def _epochs(trainer: Trainer) -> _Counts:
    return cast("_Counts", trainer.fit_loop.epoch_progress.current)


def _batches(trainer: Trainer) -> _Counts:
    return cast("_Counts", trainer.fit_loop.epoch_loop.batch_progress.current)


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of a training that is done."""

    epochs: float  # done, 0.5 in the middle of the first
    all_epochs: float
    steps: int  # of the optimizer, that are done
    all_steps: float  # those that are left besides; infinite where nothing but time ends the training


def progress_of(trainer: Trainer) -> Progress:
    """Return how much of a training is done."""
    epochs, batches = steps_done(trainer)
    of_epoch = max(1.0, float(trainer.num_training_batches))
    all_steps = trainer.global_step + steps_left(trainer)
    all_epochs = float(trainer.estimated_stepping_batches) * trainer.accumulate_grad_batches / of_epoch
    return Progress(epochs + batches / of_epoch, all_epochs, trainer.global_step, all_steps)


def steps_left(trainer: Trainer) -> float:
    """Return the number of optimizer steps that are left; infinite where nothing but time ends the training.

    A resumed training whose batch size has changed has done its earlier epochs in another number of steps.
    """
    epochs, batches = steps_done(trainer)
    accumulated = trainer.accumulate_grad_batches
    of_epoch = math.ceil(trainer.num_training_batches / accumulated)
    by_steps = math.inf if trainer.max_steps == -1 else trainer.max_steps - trainer.global_step
    if trainer.max_epochs in (None, -1):
        return max(0.0, by_steps)
    return max(0.0, min(by_steps, (trainer.max_epochs - epochs) * of_epoch - batches // accumulated))
