"""Callbacks that show and write the progress of a training: pictures, throughput, curves, results of a test."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.records import convert_plain
from instseg.core.types import Batch
from instseg.data.datamodule import InstanceDataModule
from instseg.evaluation.image_results import FILE_NAME, VALIDATION_FILE_NAME, ImageResults, write_image_results
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.best import is_best
from instseg.training.history import History
from instseg.training.trainer_parts import callbacks_of, data_of, log_every_n_steps
from instseg.visualization.curves import plot_curves

log = logging.getLogger(__name__)


def data_module_of(trainer: Trainer) -> InstanceDataModule:
    """Return our data module, which the trainer was given."""
    data = data_of(trainer)
    assert isinstance(data, InstanceDataModule)
    return data


def metrics_of(module: LightningModule) -> MetricSet:
    """Return the metrics of our module."""
    metrics = module.metrics
    if not isinstance(metrics, MetricSet):
        raise TypeError(f"expected the metrics of an InstanceSegmentationModule, found {type(metrics).__name__}")
    return metrics


class ImageResultsWriter(Callback):
    """Writer of the detections on each image, of a test and of the best validation.

    Two runs are compared image by image by those of the test; both give AP its interval.

    Args:
        folder: for the files.
        monitor: name of the metric that decides which validation is the best.
        mode: min or max, which of its values is better.
    """

    def __init__(self, folder: Path | str, monitor: str, mode: str) -> None:
        self.folder, self.monitor, self.mode = Path(folder), monitor, mode
        self._sign = 1 if mode == "max" else -1  # of the value in checkpoints, where greater is better
        self._best = math.nan

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        return {"best": self._sign * self._best}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume: only a better validation is written."""
        best = convert_plain(state_dict["best"], float, f"state of {type(self).__name__}", "use last.ckpt")
        self._best = self._sign * best

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images of a validation that is the best so far, and of one that is all that is done."""
        value = float(trainer.callback_metrics.get(self.monitor, math.nan))
        is_written = is_best(value, self._best, self.mode) or trainer.state.fn == TrainerFn.VALIDATING
        if trainer.sanity_checking or not is_written:
            return
        self._best = value
        self._write(trainer, pl_module, "val", VALIDATION_FILE_NAME)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images of the test."""
        self._write(trainer, pl_module, "test", FILE_NAME)

    @rank_zero_only
    def _write(self, trainer: Trainer, module: LightningModule, split: str, name: str) -> None:
        """Write the images that the COCO metrics measured, if they are among the metrics."""
        coco = metrics_of(module).of_kind(CocoMaskMetrics)
        if coco is None:
            return
        data = data_module_of(trainer)
        index = data.prepared.indices[split]
        names = {index.image_id(i): index.file_name(i) for i in range(len(index))}
        file_names = [names[record.image_id] for record in coco.measured]
        write_image_results(self.folder / name, ImageResults(coco.measured, file_names, data.categories))


class Throughput(Callback):
    """Logger of ``images_per_second`` over all processes, averaged over the last ``log_every_n_steps`` steps."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque()  # images and seconds of each
        self._before: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock."""
        self._before = None  # time spent in validation does not count

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Log the throughput of the last steps."""
        before, self._before = self._before, time.monotonic()
        if before is None:
            return
        self._steps.append((len(batch) * trainer.world_size, self._before - before))
        if len(self._steps) > log_every_n_steps(trainer):
            self._steps.popleft()
        images, seconds = (sum(column) for column in zip(*self._steps, strict=True))
        pl_module.log("images_per_second", images / max(seconds, 1e-9), batch_size=len(batch))


class CurvePlotter(Callback):
    """Writer of ``curves.png`` from the history of the run when training ends, also by Ctrl-C or an error.

    Args:
        folder: for ``curves.png``.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Draw the curves."""
        self.write(trainer)

    @rank_zero_only
    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Draw the curves up to the error."""
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Draw the curves of a trainer whose ``History`` has a validation."""
        for callback in callbacks_of(trainer):
            if isinstance(callback, History) and callback.rows:
                plot_curves(callback.rows, self.folder / "curves.png")
