"""``last.ckpt``, from which a training that was stopped resumes as if it had not been."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException

from instseg.checkpoints.content import DescribeCheckpoint
from instseg.checkpoints.description import (
    TRAINING,
    TrainingState,
    add_to_entry,
    plain_training,
    read_callback_states,
    read_description,
)
from instseg.checkpoints.kept_files import check_kept_files
from instseg.checkpoints.resumed_callbacks import drop_average_of_others, keep_settings
from instseg.checkpoints.training_state import capture, restore, set_progress
from instseg.data.samplers import DataStart
from instseg.distributed.interruption import Interruption, StoppedTogether
from instseg.runs.differences import CHANGES_NOTHING, differences
from instseg.runs.folders import LAST
from instseg.training.progress import is_before_step, is_between_optimizer_steps
from instseg.training.trainer_parts import callbacks_of, data_of, is_trial_run

log = logging.getLogger(__name__)

MAX_DEPTH = 20
"""Of mappings within each other in the state of a callback; paths lie no deeper."""
RANKS_COMPARE_EVERY = 10
"""Batches between two looks of several ranks at the clock."""


class LastCheckpoint(Callback):
    """Callback that saves the whole state of the training.

    It saves before the first step after each validation, every few minutes besides, when the training ends, and when
    the user or a scheduler stops it. Other callbacks may have been told of the start of that step already, and are told
    again after resuming: a callback that counts does so in ``on_train_batch_end``.

    Args:
        folder: of the checkpoints, in the run folder.
        every_minutes: the longest time between two checkpoints; None: only after each validation.
    """

    def __init__(self, folder: Path | str, every_minutes: float | None) -> None:
        self.path, self.every_minutes = Path(folder) / LAST, every_minutes
        self.interruption = Interruption()
        self._saving: TrainingState | None = None
        self._restored: TrainingState | None = None
        self._is_due = self._in_validation_step = self._is_unchanged = False
        self._saved_at = 0.0

    # --- moments ---

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and listen to signals."""
        self._saved_at = time.monotonic()
        if trainer.received_sigterm:  # during the sanity check, while Lightning listened
            self.interruption.stop()
        if trainer.world_size == 1:  # several ranks agree on a step first: see ``training.coordinated_stop``
            self.interruption.defer()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Save before the step where a checkpoint is due or a signal was received, and stop for the signal."""
        self._finish_resuming(trainer, pl_module)
        must_stop = self.interruption.received is not None
        if is_between_optimizer_steps(trainer) and (must_stop or self._is_due or self._is_late(trainer, batch_idx)):
            self._save(trainer)
            if must_stop:
                self.interruption.stop()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Save before the validation where a signal was received, and stop for the signal."""
        if not _is_validation_of_training(trainer):
            return
        self._finish_resuming(trainer, pl_module)
        if self.interruption.received is not None and is_between_optimizer_steps(trainer):
            self._save_before_validation(trainer, pl_module)
            self.interruption.stop()
        self._in_validation_step = True

    def on_validation_batch_end(self, *_: object) -> None:
        """Note that the network is done with the batch."""
        self._in_validation_step = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make a checkpoint due before the next step."""
        self._is_due |= _is_validation_of_training(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make a checkpoint due where there are no validations."""
        self._is_due |= not trainer.enable_validation

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of the training, then obey a signal that was received."""
        self._save(trainer)
        self.interruption.obey_at_once()
        if self.interruption.received is not None:
            self.interruption.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what was trained, where a validation fails or the ranks stop together."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            if trainer.world_size == 1 or isinstance(exception, StoppedTogether):
                self._save_where_stopped(trainer, pl_module, exception)
            return
        if self._in_validation_step and isinstance(exception, Exception) and trainer.world_size == 1:
            self._save_before_validation(trainer, pl_module)
            log.info("The validation failed; the training up to it is in %s", self.path)
        self.interruption.obey_at_once()  # a sweep continues after this, and would not know of the signal
        if self.interruption.received is not None:
            self.interruption.stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on signals at once: Lightning would continue to the end of the test."""
        self.interruption.obey_at_once()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on signals at once where nothing is trained."""
        if trainer.state.fn != TrainerFn.FITTING:
            self.interruption.obey_at_once()

    # --- saving ---

    def _save(self, trainer: Trainer, validation_due: bool = False) -> None:
        if is_trial_run(trainer):
            return
        self._saving = capture(trainer, validation_due)
        try:
            trainer.save_checkpoint(self.path, weights_only=False)
        finally:
            self._saving = None
        self._is_due, self._saved_at = False, time.monotonic()

    def _save_where_stopped(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        if self._restored is not None:
            return  # nothing has been done since the checkpoint
        if is_before_step(trainer) and is_between_optimizer_steps(trainer):
            self._save(trainer)
        elif trainer.validating and isinstance(exception, StoppedTogether):
            self._save_before_validation(trainer, module)

    def _save_before_validation(self, trainer: Trainer, module: LightningModule) -> None:
        """Save from within the validation, which starts anew: the weights that are trained, not their average."""
        if not is_between_optimizer_steps(trainer):
            return
        for callback in callbacks_of(trainer):
            if isinstance(callback, WeightAveraging):
                callback.on_validation_epoch_end(trainer, module)
        self._save(trainer, validation_due=True)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Add the state of the training, and its place in the data under Lightning's key for the data."""
        if self._saving is not None:
            data = data_of(trainer)
            start = DataStart(self._saving.epochs, self._saving.batches * data.batch_size)
            checkpoint[type(data).__qualname__] = msgspec.structs.asdict(start)
            set_progress(checkpoint, self._saving)
            add_to_entry(checkpoint, {TRAINING: plain_training(self._saving)})

    def _is_late(self, trainer: Trainer, batch_idx: int) -> bool:
        """Tell whether the last checkpoint is old. Ranks, whose clocks differ, agree on it, and not in each step."""
        if self.every_minutes is None or (trainer.world_size > 1 and batch_idx % RANKS_COMPARE_EVERY):
            return False
        is_late = time.monotonic() - self._saved_at >= 60 * self.every_minutes
        return trainer.strategy.reduce_boolean_decision(is_late, all=False)

    # --- resuming ---

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Read the state of the training, and name the run folder as it is now in the states of the callbacks."""
        if trainer.state.fn == TrainerFn.FITTING:
            about = read_description(checkpoint, self.path)
            self._restored = about.training
            (now,) = (c.config for c in callbacks_of(trainer) if isinstance(c, DescribeCheckpoint))
            found = differences(about.config, now, CHANGES_NOTHING)
            self._is_unchanged = not found
            moved = about.config.get("run_dir"), str(self.path.parents[1])
            stored = read_callback_states(checkpoint, self.path)
            states = {str(_with_paths(key, *moved)): _with_paths(state, *moved) for key, state in stored.items()}
            check_kept_files(callbacks_of(trainer), states, self.path)
            keep_settings(states, callbacks_of(trainer), found)
            drop_average_of_others(checkpoint, states, callbacks_of(trainer), pl_module)
            checkpoint["callbacks"] = states

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the logged metrics, and that the training has ended where no setting has changed since."""
        if self._restored is not None:
            trainer._logger_connector._callback_metrics.update(self._restored.metrics)
            trainer.should_stop = self._restored.is_stopped and self._is_unchanged

    def _finish_resuming(self, trainer: Trainer, module: LightningModule) -> None:
        if self._restored is not None:
            restore(trainer, module, self._restored)
            self._restored = None


def _is_validation_of_training(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def _with_paths(value: object, before: object, now: str, depth: int = 0) -> object:
    """Replace the folder of a run, which may have been moved or copied, in the states of its callbacks."""
    if isinstance(value, dict) and depth < MAX_DEPTH:
        return {_with_paths(k, before, now): _with_paths(item, before, now, depth + 1) for k, item in value.items()}
    if isinstance(value, str) and isinstance(before, str) and before and value.startswith(before):
        return now + value.removeprefix(before)
    return value
