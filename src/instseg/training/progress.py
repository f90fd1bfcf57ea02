"""Progress of a training: steps done, and the moments at which its state is whole."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Trainer


def steps_done(trainer: Trainer) -> tuple[int, int]:
    """Whole epochs, and batches of the current one. At the end of the training too, wherever that was in an epoch."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    is_over = epochs.processed == epochs.ready  # the epoch was counted, whole or not
    if is_over and batches.processed < trainer.num_training_batches:
        return epochs.processed - 1, batches.processed
    return epochs.processed, 0 if is_over else batches.processed


def is_before_step(trainer: Trainer) -> bool:
    """Whether a batch is there and nothing has been done with it."""
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return bool(batches.ready == batches.started + 1)


def is_between_optimizer_steps(trainer: Trainer) -> bool:
    """Whether no gradients wait for more: they are not part of a checkpoint."""
    current: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    batches: int = current.processed
    accumulated: int = trainer.accumulate_grad_batches
    return batches % accumulated == 0 or batches >= trainer.num_training_batches
