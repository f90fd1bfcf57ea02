"""The end of a training: why it came, after how long, and which validation was the best."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer

from instseg.core.text import duration, plural
from instseg.training.history import History
from instseg.training.progress import progress_of
from instseg.training.trainer_parts import callbacks_of


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a training, in words."""

    why: str
    done: str
    """Epochs and time."""
    best: str | None
    """The best validation; None where there was none, or no history."""

    def __str__(self) -> str:
        """Return one or two sentences."""
        return f"{self.why} {self.done}." + (f" Best validation: {self.best}." if self.best else "")


def ending_of(trainer: Trainer, why: str | None = None) -> Ending:
    """Describe the end of a training.

    Args:
        trainer: that has stopped.
        why: the reason; None where Lightning ended the training itself.
    """
    history = next((callback for callback in callbacks_of(trainer) if isinstance(callback, History)), None)
    progress = progress_of(trainer)
    epochs = "1 epoch" if progress.epochs == 1 else f"{progress.epochs:.3g} epochs"
    known = math.isfinite(progress.all_epochs)
    done = f"{progress.epochs:.3g} of {plural(math.ceil(progress.all_epochs), 'epoch')}" if known else epochs
    best = history.best if history else None
    return Ending(
        why=why or why_it_ended(trainer),
        done=f"{done} in {duration(history.seconds)}" if history else done,
        best=f"epoch {best['epoch']:.4g}, {history.monitor} {best[history.monitor]:.3f}" if history and best else None,
    )


def why_it_ended(trainer: Trainer) -> str:
    """Return the reason for which Lightning ended a training."""
    for callback in callbacks_of(trainer):
        if isinstance(callback, EarlyStopping) and trainer.should_stop and callback.stopped_epoch:
            return f"Stopped early, {callback.monitor} has not improved for {plural(callback.patience, 'validation')}:"
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            return "Stopped at trainer.max_time:"
    if 0 < trainer.max_steps <= trainer.global_step:
        return "Done, trainer.max_steps is reached:"
    if trainer.max_epochs is not None and 0 < trainer.max_epochs <= trainer.current_epoch:
        return "Done:"
    return "Stopped by a callback:"
