"""The history of a training: a row for each validation, in ``history.csv`` and as a line of the log."""

from __future__ import annotations

import csv
import io
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from instseg.core.atomic import write_text_atomically
from instseg.core.channels import csv_cell
from instseg.core.records import convert_plain
from instseg.core.types import Batch
from instseg.training.best import is_best
from instseg.training.progress import Progress, progress_of
from instseg.training.validation_line import HEADER, HEADER_EVERY, Row, validation_line

log = logging.getLogger(__name__)

FILE_NAME = "history.csv"
FIRST = ("epoch", "step", "train/loss", "lr", "images_per_second", "elapsed_seconds")
"""Columns in front of those of the validation."""


class _Since(TypedDict):
    """Sums over the training steps since the last validation."""

    loss: float
    steps: int
    images: int
    seconds: float


class _State(TypedDict):
    rows: list[Row]
    seconds: float
    since: _Since


class History(Callback):
    """Writer of a row for each validation: to ``history.csv``, and to the log as one line.

    A training without validations has a row for each epoch.

    ``train/loss`` and ``images_per_second`` are means over the steps since the validation before; ``epoch`` counts
    epochs done, so that the first one ends at 1 and its middle is 0.5. The rows are a part of the checkpoints: a
    resumed training continues those that it had reached, and none appears twice.

    Args:
        folder: for ``history.csv``.
        monitor: name of the metric that decides which validation is the best.
        mode: min or max, which of its values is better.
    """

    def __init__(self, folder: Path | str, monitor: str, mode: str) -> None:
        self.path, self.monitor, self.mode = Path(folder) / FILE_NAME, monitor, mode
        self.rows: list[Row] = []
        self._seconds_before = 0.0  # of earlier starts
        self._started: float | None = None
        self._progress_at_start = 0
        self._loss: Tensor | float = 0.0
        self._steps = self._images = 0
        self._training_seconds = 0.0
        self._last_step: float | None = None

    @property
    def seconds(self) -> float:
        """Time of the training, that of the starts before it was resumed included."""
        return self._seconds_before + (0.0 if self._started is None else time.monotonic() - self._started)

    @property
    def best(self) -> Row | None:
        """The best validation by ``is_best``; None before one whose metric is defined."""
        found: Row | None = None
        for row in self.rows:
            value = row.get(self.monitor, math.nan)
            if math.isfinite(value) and is_best(value, math.nan if found is None else found[self.monitor], self.mode):
                found = row
        return found

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        since = _Since(loss=float(self._loss), steps=self._steps, images=self._images, seconds=self._training_seconds)
        return {"rows": list(self.rows), "seconds": self.seconds, "since": since}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume."""
        state = convert_plain(state_dict, _State, f"state of {type(self).__name__}", "resume from another checkpoint")
        self.rows, self._seconds_before = state["rows"], state["seconds"]
        since = state["since"]
        self._loss, self._steps, self._images = since["loss"], since["steps"], since["images"]
        self._training_seconds = since["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; of a resumed training, write the rows that it had reached."""
        self._started, self._progress_at_start = time.monotonic(), trainer.global_step
        if trainer.is_global_zero:
            self._write()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock of the steps."""
        self._last_step = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Add a step."""
        self._loss = self._loss + _mean_loss(outputs)
        self._steps += 1
        self._images += len(batch) * trainer.world_size
        now = time.monotonic()
        self._training_seconds += now - (now if self._last_step is None else self._last_step)
        self._last_step = now

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row."""
        if not trainer.sanity_checking and trainer.state.fn == TrainerFn.FITTING:
            self._add_row(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row of the training alone, where nothing is validated."""
        if not sum(trainer.num_val_batches):
            self._add_row(trainer)

    def _add_row(self, trainer: Trainer) -> None:
        progress = progress_of(trainer)
        self.rows.append(self._row(trainer, progress))
        self._loss, self._steps, self._images, self._training_seconds = 0.0, 0, 0, 0.0
        self._last_step = time.monotonic()
        if trainer.is_global_zero:
            self._write()
            self._say(progress)

    def _row(self, trainer: Trainer, progress: Progress) -> Row:
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        return {
            "epoch": progress.epochs,
            "step": trainer.global_step,
            "train/loss": float(self._loss) / self._steps if self._steps else math.nan,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "images_per_second": self._images / self._training_seconds if self._training_seconds else math.nan,
            "elapsed_seconds": round(self.seconds, 1),
            **values,
        }

    def _say(self, progress: Progress) -> None:
        if (len(self.rows) - 1) % HEADER_EVERY == 0:
            log.info(HEADER)
        row, best_row, left = self.rows[-1], self.best, self._seconds_left(progress)
        best = None if best_row is None else best_row[self.monitor]
        log.info(validation_line(row, progress.all_epochs, best, best_row is row, left))

    def _seconds_left(self, progress: Progress) -> float:
        """Return the time that the steps left will take, each as long as those of this start, validations included."""
        done = progress.steps - self._progress_at_start
        assert self._started is not None
        return (time.monotonic() - self._started) / done * (progress.all_steps - progress.steps) if done else math.nan

    def _write(self) -> None:
        names = list(dict.fromkeys([*FIRST, *sorted({name for row in self.rows for name in row} - set(FIRST))]))
        if self.rows or self.path.exists():
            write_text_atomically(self.path, _as_csv(names, self.rows))


def _mean_loss(outputs: object) -> Tensor:
    """Return the loss of a step over all ranks, which ``InstanceSegmentationModule`` returns beside its own."""
    loss = outputs.get("mean_loss") if isinstance(outputs, Mapping) else None
    if not isinstance(loss, Tensor):
        raise TypeError(f"expected the outputs of an InstanceSegmentationModule, found {type(outputs).__name__}")
    return loss


def _as_csv(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the table as text; what is not defined is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, names))
    for row in rows:
        values = (row.get(name, math.nan) for name in names)
        writer.writerow([f"{value:.6g}" if math.isfinite(value) else "" for value in values])
    return text.getvalue()
