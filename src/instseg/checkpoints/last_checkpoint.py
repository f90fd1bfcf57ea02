"""``last.ckpt``: from which a training that was stopped goes on as if it had not been."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException

from instseg.checkpoints.content import DescribeCheckpoint
from instseg.checkpoints.description import TrainingState, add_to_entry, plain_training, read_description
from instseg.checkpoints.training_state import arrive, capture, set_progress
from instseg.distributed.interruption import Interruption, StoppedTogether
from instseg.runs.differences import CHANGES_NOTHING, differences
from instseg.runs.folders import LAST
from instseg.training.progress import is_before_step, is_between_optimizer_steps

log = logging.getLogger(__name__)

RANKS_COMPARE_EVERY = 10
"""Batches between two looks of several ranks at the clock."""


class LastCheckpoint(Callback):
    """Saves the whole state of the training before the first step after each validation, every few minutes besides,
    when the training ends, and when the user or a scheduler stops it.

    Before a step, other callbacks may have been told of its start already, and are told again when it is resumed: a
    callback counts in ``on_train_batch_end``.

    Args:
        folder: of the checkpoints, in the run folder.
        every_minutes: between two checkpoints at most; null: only after each validation.
    """

    def __init__(self, folder: Path | str, every_minutes: float | None) -> None:
        self.path, self.every_minutes = Path(folder) / LAST, every_minutes
        self.interruption = Interruption()
        self._saving: TrainingState | None = None
        self._restored: TrainingState | None = None
        self._is_due = self._in_validation_step = self._is_unchanged = False
        self._saved_at = 0.0

    # --- when ---

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at = time.monotonic()
        if trainer.received_sigterm:  # during the sanity check, while Lightning listened
            self.interruption.stop()
        if trainer.world_size == 1:  # several ranks agree on a step first: see ``stopping``
            self.interruption.defer()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._finish_going_on(trainer, pl_module)
        must_stop = self.interruption.received is not None
        if is_between_optimizer_steps(trainer) and (must_stop or self._is_due or self._is_late(trainer, batch_idx)):
            self._save(trainer)
            if must_stop:
                self.interruption.stop()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not _is_validation_of_training(trainer):
            return
        self._finish_going_on(trainer, pl_module)
        if self.interruption.received is not None and is_between_optimizer_steps(trainer):
            self._save_before_validation(trainer, pl_module)
            self.interruption.stop()
        self._in_validation_step = True

    def on_validation_batch_end(self, *_: Any) -> None:
        self._in_validation_step = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._is_due |= _is_validation_of_training(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._is_due |= not trainer.enable_validation

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)
        self.interruption.obey_at_once()
        if self.interruption.received is not None:
            self.interruption.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """A validation that fails takes nothing of the training with it, nor do ranks that stop before a step."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            if trainer.world_size == 1 or isinstance(exception, StoppedTogether):
                self._save_where_stopped(trainer, pl_module, exception)
            return
        if self._in_validation_step and isinstance(exception, Exception) and trainer.world_size == 1:
            self._save_before_validation(trainer, pl_module)
            log.info("The validation failed; the training up to it is in %s", self.path)
        self.interruption.obey_at_once()  # a sweep goes on after this, and what was remembered would be forgotten
        if self.interruption.received is not None:
            self.interruption.stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.interruption.obey_at_once()  # Lightning would go on to the end

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self.interruption.obey_at_once()

    # --- what ---

    def _save(self, trainer: Trainer, validation_due: bool = False) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
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
        """From within the validation, whose metrics start anew; where averaged weights are validated, the others."""
        if not is_between_optimizer_steps(trainer):
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                callback.on_validation_epoch_end(trainer, module)
        self._save(trainer, validation_due=True)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._saving is not None:
            data = trainer.datamodule  # type: ignore[attr-defined]
            samples = self._saving.batches * data.batch_size
            checkpoint[type(data).__qualname__] = {"epoch": self._saving.epochs, "samples": samples}
            set_progress(checkpoint, self._saving)
            add_to_entry(checkpoint, {"training": plain_training(self._saving)})

    def _is_late(self, trainer: Trainer, batch_idx: int) -> bool:
        """Asked of every rank, whose clocks differ; not in each step, because they wait for each other."""
        if self.every_minutes is None or (trainer.world_size > 1 and batch_idx % RANKS_COMPARE_EVERY):
            return False
        is_late = time.monotonic() - self._saved_at >= 60 * self.every_minutes
        return trainer.strategy.reduce_boolean_decision(is_late, all=False)

    # --- going on ---

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            about = read_description(checkpoint, self.path)
            self._restored = about.training
            (now,) = (c.config for c in trainer.callbacks if isinstance(c, DescribeCheckpoint))  # type: ignore[attr-defined]
            self._is_unchanged = not differences(about.config, now, CHANGES_NOTHING)
            moved = about.config.get("run_dir"), str(self.path.parents[1])
            checkpoint["callbacks"] = _with_paths(checkpoint["callbacks"], *moved)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._restored is not None:
            trainer._logger_connector._callback_metrics.update(self._restored.metrics)
            trainer.should_stop = self._restored.is_stopped and self._is_unchanged

    def _finish_going_on(self, trainer: Trainer, module: LightningModule) -> None:
        if self._restored is not None:
            arrive(trainer, module, self._restored)
            self._restored = None


def _is_validation_of_training(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def _with_paths(value: Any, before: object, now: str) -> Any:
    """The states of the callbacks with the run folder where it is now: it may have been moved or copied."""
    if isinstance(value, dict):
        return {_with_paths(key, before, now): _with_paths(item, before, now) for key, item in value.items()}
    if isinstance(value, str) and isinstance(before, str) and before and value.startswith(before):
        return now + value.removeprefix(before)
    return value
