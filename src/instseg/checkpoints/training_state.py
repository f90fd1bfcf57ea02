"""Where a training stands, in a form from which Lightning goes on exactly: loops, random states, logged values.

Lightning's own progress depends on the hook that a checkpoint is saved in, and some of these it misreads when it goes
on: epochs are counted without being trained, validations are left out, a step is logged twice. So there are two moments
at which a training is saved, and each has one form: before a step, and before a validation that is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.distributed
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning import LightningModule, Trainer

from instseg.checkpoints.description import TrainingState
from instseg.checkpoints.event_files import event_file_sizes
from instseg.checkpoints.random_states import RandomStates, random_states, restore_random_states
from instseg.training.progress import steps_done
from instseg.training.tensorboard import tensorboard_of

FIT, EPOCH, BATCH = "fit_loop", "epoch_progress", "epoch_loop.batch_progress"
VALIDATION_BATCH = "epoch_loop.val_loop.batch_progress"


def capture(trainer: Trainer, validation_due: bool) -> TrainingState:
    """Return what Lightning does not save. Every rank must call it."""
    epochs, batches = steps_done(trainer)
    return TrainingState(
        epochs=epochs,
        batches=batches,
        processes=trainer.world_size,
        validation_due=validation_due,
        logged_steps=trainer.fit_loop.epoch_loop._batches_that_stepped,
        is_stopped=trainer.should_stop,
        metrics=move_data_to_device(dict(trainer.callback_metrics), torch.device("cpu")),
        random=_of_all_ranks(trainer, random_states()),
        events=_event_files(trainer),
    )


def set_progress(checkpoint: dict[str, Any], training: TrainingState) -> None:
    """Give the loops' progress in ``checkpoint`` the one form of this moment."""
    epochs, batches, due = training.epochs, training.batches, training.validation_due
    checkpoint["epoch"] = max(0, epochs if batches else epochs - 1)  # of the last step
    fit = checkpoint["loops"][FIT]
    is_last = due and fit[BATCH]["is_last_batch"]
    for part in ("total", "current"):
        fit[EPOCH][part] = {"ready": epochs + 1, "started": epochs + 1, "processed": epochs, "completed": epochs}
    for part, done in (("total", fit[BATCH]["total"]["completed"]), ("current", batches)):
        fit[BATCH][part] = dict.fromkeys(("ready", "started", "processed", "completed"), done)
    fit[BATCH]["is_last_batch"] = is_last
    if due:  # Lightning goes on with a validation of which one batch was begun
        begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        fit[VALIDATION_BATCH] = {"total": begun, "current": dict.fromkeys(begun, 0), "is_last_batch": False}


def arrive(trainer: Trainer, module: LightningModule, training: TrainingState) -> None:
    """In the first step (or batch of a validation) after going on: what Lightning does not restore, or restores wrong.

    Lightning leaves ``on_train_epoch_start`` out in the middle of an epoch; callbacks count on it.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        callback.on_train_epoch_start(trainer, module)
    if not training.validation_due:
        trainer.fit_loop.epoch_loop._batches_that_stepped = training.logged_steps
    if trainer.global_rank < len(training.random):
        restore_random_states(training.random[trainer.global_rank])


def _of_all_ranks(trainer: Trainer, states: RandomStates) -> list[RandomStates]:
    if trainer.world_size == 1:
        return [states]
    gathered = [states] * trainer.world_size
    torch.distributed.all_gather_object(gathered, states)
    return gathered


def _event_files(trainer: Trainer) -> dict[str, int]:
    writer = tensorboard_of(trainer) if trainer.is_global_zero else None
    if writer is None:
        return {}
    writer.flush()
    return event_file_sizes(Path(writer.log_dir))
