"""What is shown and written while Lightning trains: pictures, throughput, curves."""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.categories import Categories
from instseg.core.types import Batch, Image, Prediction
from instseg.data.datamodule import InstanceDataModule
from instseg.data.reading.images import read_image
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.image_results import FILE_NAME, ImageResults, write_image_results
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.tensorboard import read_scalars, tensorboard_of
from instseg.training.trainer_parts import data_of, log_every_n_steps
from instseg.visualization.curves import plot_curves
from instseg.visualization.draw import draw_ground_truth, draw_prediction, draw_target
from instseg.visualization.sheets import contact_sheet, side_by_side, write_image

log = logging.getLogger(__name__)


class PictureLogger(Callback):
    """Ground truth beside prediction for the first images of each evaluation, and one training batch, once.

    Args:
        num_images: how many images of the validation (and test) split.
        score_threshold: detections below it are not drawn.
        folder: PNGs of the last evaluation and of the training batch are written here too.
    """

    def __init__(self, num_images: int, score_threshold: float, folder: Path | str) -> None:
        self.num_images, self.score_threshold, self.folder = num_images, score_threshold, Path(folder)
        self._drawn: list[Image] = []
        self._shown_training_batch = False

    def state_dict(self) -> dict[str, Any]:
        return {"shown_training_batch": self._shown_training_batch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._shown_training_batch = state_dict["shown_training_batch"]

    @rank_zero_only
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._shown_training_batch:
            return
        self._shown_training_batch = True
        categories = _data(trainer).categories
        tiles = training_tiles(batch, categories)
        sheet = contact_sheet(tiles, columns=min(4, len(tiles)))
        self._publish(trainer, "train/batch", sheet)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._drawn = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._draw(trainer, outputs, batch, _split(trainer))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._publish_drawn(trainer, _split(trainer))

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @rank_zero_only
    def _draw(self, trainer: Trainer, outputs: dict[str, list[Prediction]], batch: Batch, split: str) -> None:
        data = _data(trainer)
        index = data.prepared.indices[split]
        for prediction, truth in zip(outputs["predictions"], batch.ground_truth, strict=True):
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
    """Each image of a batch as the model sees it, with its targets drawn on top."""
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


def _split(trainer: Trainer) -> str:
    return "test" if trainer.testing else "val"


class ImageResultsWriter(Callback):
    """Writes what a test found on each image, so that two runs can be compared image by image.

    Args:
        folder: where ``image_results.FILE_NAME`` is written to.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Where the metrics of the test are computed; without COCO's there is nothing to write."""
        coco = _metrics(pl_module).of_kind(CocoMaskMetrics)
        if coco is not None:
            self._write(trainer, coco.measured)

    @rank_zero_only
    def _write(self, trainer: Trainer, records: list[ImageRecord]) -> None:
        data = _data(trainer)
        index = data.prepared.indices["test"]
        names = {index.image_id(i): index.file_name(i) for i in range(len(index))}
        file_names = [names[record.image_id] for record in records]
        write_image_results(self.folder / FILE_NAME, ImageResults(records, file_names, data.categories))


class Throughput(Callback):
    """Logs ``images_per_second`` over all processes, averaged over the last ``log_every_n_steps`` steps."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque()  # images and seconds of each
        self._before: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = None  # time spent in validation does not count

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        before, self._before = self._before, time.monotonic()
        if before is None:
            return
        self._steps.append((len(batch) * trainer.world_size, self._before - before))
        if len(self._steps) > log_every_n_steps(trainer):
            self._steps.popleft()
        images, seconds = (sum(column) for column in zip(*self._steps, strict=True))
        pl_module.log("images_per_second", images / max(seconds, 1e-9), batch_size=len(batch))


class CurvePlotter(Callback):
    """Writes ``curves.png`` from the run's TensorBoard events when training ends, also by Ctrl-C or an error.

    Reading the events back keeps one record: a resumed run draws its whole history.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.write(trainer)

    @rank_zero_only
    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        writer = tensorboard_of(trainer)
        if writer is None:
            return
        writer.flush()
        scalars = read_scalars(Path(writer.log_dir))
        if scalars:
            plot_curves(scalars, self.folder / "curves.png")
