"""Callbacks that show and write the progress of a training: pictures, throughput, curves, results of a test."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.categories import Categories
from instseg.core.records import convert_plain
from instseg.core.types import Batch, Image, Prediction
from instseg.data.datamodule import InstanceDataModule
from instseg.data.reading.images import read_image
from instseg.evaluation.image_results import FILE_NAME, VALIDATION_FILE_NAME, ImageResults, write_image_results
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.tensorboard import read_scalars, tensorboard_of
from instseg.training.trainer_parts import data_of, log_every_n_steps
from instseg.visualization.curves import plot_curves
from instseg.visualization.draw import draw_ground_truth, draw_prediction, draw_target
from instseg.visualization.sheets import contact_sheet, side_by_side, write_image

log = logging.getLogger(__name__)


class _Shown(msgspec.Struct):
    shown_training_batch: bool


class PictureLogger(Callback):
    """Writer of ground truth beside prediction for the first images of each evaluation, and of one training batch.

    Args:
        num_images: number of images of the validation (and test) split.
        score_threshold: detections below it are not drawn.
        folder: for PNGs of the last evaluation and of the training batch.
    """

    def __init__(self, num_images: int, score_threshold: float, folder: Path | str) -> None:
        self.num_images, self.score_threshold, self.folder = num_images, score_threshold, Path(folder)
        self._drawn: list[Image] = []
        self._shown_training_batch = False

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        return {"shown_training_batch": self._shown_training_batch}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume: the training batch is not shown again."""
        state = convert_plain(state_dict, _Shown, "checkpoint, state of PictureLogger", "use another checkpoint")
        self._shown_training_batch = state.shown_training_batch

    @rank_zero_only
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Publish the first training batch."""
        if self._shown_training_batch:
            return
        self._shown_training_batch = True
        categories = _data(trainer).categories
        tiles = training_tiles(batch, categories)
        sheet = contact_sheet(tiles, columns=min(4, len(tiles)))
        self._publish(trainer, "train/batch", sheet)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the pictures of the last evaluation."""
        self._drawn = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw images until there are enough."""
        self._draw(trainer, _predictions(outputs), batch, _split(trainer))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish the drawn images."""
        self._publish_drawn(trainer, _split(trainer))

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @rank_zero_only
    def _draw(self, trainer: Trainer, predictions: Sequence[Prediction], batch: Batch, split: str) -> None:
        data = _data(trainer)
        index = data.prepared.indices[split]
        for prediction, truth in zip(predictions, batch.ground_truth, strict=True):
            if len(self._drawn) >= self.num_images:
                return
            position = index.index_of(truth.image_id)
            image = read_image(index.path(position), rotate=index.rotate(position))
            left = draw_ground_truth(image, truth, data.categories)
            right = draw_prediction(image, prediction, data.categories, self.score_threshold)
            self._drawn.append(side_by_side(left, right, height_px=480))

    @rank_zero_only
    def _publish_drawn(self, trainer: Trainer, split: str) -> None:
        if trainer.sanity_checking:
            return
        for number, picture in enumerate(self._drawn):
            self._publish(trainer, f"{split}/predictions/{number:02d}", picture)
        self._drawn = []

    def _publish(self, trainer: Trainer, tag: str, picture: Image) -> None:
        write_image(self.folder / f"{tag.replace('/', '_')}.png", picture)
        writer = tensorboard_of(trainer)
        if writer is not None:
            writer.add_image(tag, picture, trainer.global_step, dataformats="HWC")


def training_tiles(batch: Batch, categories: Categories) -> list[Image]:
    """Return the images of a batch as the model sees them, with the targets drawn on top.

    Args:
        batch: the images.
        categories: names of the labels.
    """
    tiles = []
    for image, (height, width), target in zip(batch.images, batch.image_sizes, batch.targets, strict=True):
        pixels = image[:, :height, :width].permute(1, 2, 0).cpu().numpy()
        tiles.append(draw_target(np.ascontiguousarray(pixels), target.to("cpu"), categories))
    return tiles


def _data(trainer: Trainer) -> InstanceDataModule:
    data = data_of(trainer)
    assert isinstance(data, InstanceDataModule)
    return data


def _metrics(module: LightningModule) -> MetricSet:
    metrics = module.metrics
    if not isinstance(metrics, MetricSet):
        raise TypeError(f"expected the metrics of an InstanceSegmentationModule, found {type(metrics).__name__}")
    return metrics


def _predictions(outputs: object) -> list[Prediction]:
    """Return the predictions that an evaluation step of an InstanceSegmentationModule returned."""
    if not isinstance(outputs, Mapping):
        raise TypeError(f"expected the outputs of an InstanceSegmentationModule, found {type(outputs).__name__}")
    predictions: list[Prediction] = outputs["predictions"]
    return predictions


def _split(trainer: Trainer) -> str:
    return "test" if trainer.testing else "val"


class ImageResultsWriter(Callback):
    """Writer of the detections on each image, of a test and of the best validation.

    Two runs are compared image by image by those of the test; both give AP its interval.

    Args:
        folder: for the files.
        monitor: name of the metric that decides which validation is the best.
        mode: min or max, which of its values is better.
    """

    def __init__(self, folder: Path | str, monitor: str, mode: str) -> None:
        self.folder, self.monitor, self.sign = Path(folder), monitor, 1 if mode == "max" else -1
        self._best = -math.inf

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume: only a better validation is written."""
        self._best = convert_plain(state_dict["best"], float, f"state of {type(self).__name__}", "use last.ckpt")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images of a validation that is the best so far, and of one that is all that is done."""
        value = self.sign * float(trainer.callback_metrics.get(self.monitor, math.nan))
        if trainer.sanity_checking or not (value > self._best or trainer.state.fn == TrainerFn.VALIDATING):
            return
        self._best = value
        self._write(trainer, pl_module, "val", VALIDATION_FILE_NAME)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images of the test."""
        self._write(trainer, pl_module, "test", FILE_NAME)

    @rank_zero_only
    def _write(self, trainer: Trainer, module: LightningModule, split: str, name: str) -> None:
        """Write the images that the COCO metrics measured, if they are among the metrics."""
        coco = _metrics(module).of_kind(CocoMaskMetrics)
        if coco is None:
            return
        data = _data(trainer)
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
    """Writer of ``curves.png`` from the TensorBoard events of the run when training ends, also by Ctrl-C or an error.

    The events are the only record of the values, so a resumed run draws its whole history.

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
        """Draw the curves of a trainer that has a TensorBoard logger."""
        writer = tensorboard_of(trainer)
        if writer is None:
            return
        writer.flush()
        scalars = read_scalars(Path(writer.log_dir))
        if scalars:
            plot_curves(scalars, self.folder / "curves.png")
