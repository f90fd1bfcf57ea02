"""The state of a training in a form that it resumes from exactly: progress, random states, logged values.

Lightning's own progress depends on the hook in which a checkpoint is saved, and it misreads some of these when it
resumes: epochs are counted without being trained, validations are skipped, a step is logged twice. So a training is
saved at two moments only, each with one form: before a step, and before a validation that is due.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import TypedDict, cast

import torch.distributed
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning import LightningModule, Trainer

from instseg.checkpoints.description import TrainingState
from instseg.checkpoints.event_files import event_file_sizes
from instseg.checkpoints.random_states import RandomStates, random_states, restore_random_states
from instseg.training.progress import steps_done
from instseg.training.tensorboard import tensorboard_of
from instseg.training.trainer_parts import callbacks_of

FIT, EPOCH, BATCH = "fit_loop", "epoch_progress", "epoch_loop.batch_progress"
VALIDATION_BATCH = "epoch_loop.val_loop.batch_progress"


class _Progress(TypedDict, total=False):
    """Lightning's counts of one loop: ready, started, processed and completed, since the start and in this epoch."""

    total: dict[str, int]
    current: dict[str, int]
    is_last_batch: bool


def capture(trainer: Trainer, validation_due: bool) -> TrainingState:
    """Capture what Lightning does not save. Every rank must call it.

    Args:
        trainer: between two optimizer steps.
        validation_due: true before a validation, false before a step.

    Returns:
        The state of all ranks, on the CPU.
    """
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


def set_progress(checkpoint: MutableMapping[str, object], training: TrainingState) -> None:
    """Replace Lightning's progress by the one form that it has at this moment.

    Args:
        checkpoint: the content that is about to be saved; changed in place.
        training: the state at this moment.
    """
    epochs, batches, due = training.epochs, training.batches, training.validation_due
    checkpoint["epoch"] = max(0, epochs if batches else epochs - 1)  # of the last step
    fit = cast("dict[str, dict[str, _Progress]]", checkpoint["loops"])[FIT]
    fit[EPOCH]["total"] = _epochs(epochs)
    fit[EPOCH]["current"] = _epochs(epochs)
    fit[BATCH] = {
        "total": _batches(fit[BATCH]["total"]["completed"]),
        "current": _batches(batches),
        "is_last_batch": due and fit[BATCH]["is_last_batch"],
    }
    if due:  # Lightning resumes with a validation of which one batch was begun
        begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        fit[VALIDATION_BATCH] = {"total": begun, "current": dict.fromkeys(begun, 0), "is_last_batch": False}


def _epochs(done: int) -> dict[str, int]:
    return {"ready": done + 1, "started": done + 1, "processed": done, "completed": done}


def _batches(done: int) -> dict[str, int]:
    return dict.fromkeys(("ready", "started", "processed", "completed"), done)


def restore(trainer: Trainer, module: LightningModule, training: TrainingState) -> None:
    """Restore what Lightning does not restore, or restores wrong; in the first step or batch of a validation.

    Lightning skips ``on_train_epoch_start`` in the middle of an epoch; callbacks count on it.

    Args:
        trainer: of the resumed training.
        module: its module.
        training: the state in the checkpoint.

    Raises:
        InstsegError: a random state does not fit its generator.
    """
    for callback in callbacks_of(trainer):
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
