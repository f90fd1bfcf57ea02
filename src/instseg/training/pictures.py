"""Pictures of a training: what was found, missed and wrong, and what the network is trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.categories import Categories
from instseg.core.records import convert_plain
from instseg.core.types import Batch, Image, Prediction
from instseg.evaluation.outcomes import outcomes_of
from instseg.training.callbacks import data_module_of
from instseg.training.picture_budget import PictureBudget
from instseg.training.progress import progress_of
from instseg.training.tensorboard import add_jpeg, tensorboard_of
from instseg.training.trainer_parts import predictions_of
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_target
from instseg.visualization.jpeg import encode_jpeg
from instseg.visualization.outcomes import draw_outcomes
from instseg.visualization.sheets import contact_sheet, fit, tile_size, wrapped, write_image

MAX_COLUMNS = 4


class _Shown(msgspec.Struct):
    shown_training_batch: bool
    bytes: int = 0  # in TensorBoard; early versions did not count them
    bytes_of_set: int = 0


class PictureLogger(Callback):
    """Writer of ground truth beside prediction for the first images of evaluations, and of one training batch.

    Not every validation is drawn: those are left out whose pictures would take more bytes than there may be, spread
    evenly over the training, or more than a small part of the time of the validations. The first one and the test are
    drawn.

    Args:
        num_images: number of images of the validation (and test) split.
        score_threshold: detections below it are not drawn.
        folder: for PNGs of the last evaluation that was drawn and of the training batch.
        max_megabytes: of pictures in TensorBoard.
        colour_by: instance or category, in the training batch.
    """

    def __init__(
        self,
        num_images: int,
        score_threshold: float,
        folder: Path | str,
        max_megabytes: float = 5.0,
        colour_by: ColourBy = "instance",
    ) -> None:
        self.num_images, self.score_threshold, self.folder = num_images, score_threshold, Path(folder)
        self.colour_by, self.budget = colour_by, PictureBudget(max_megabytes * 1e6)
        self._drawn: list[Image] = []
        self._is_drawn = False
        self._shown_training_batch = False
        self._started = self._drawing_seconds = 0.0  # of the evaluation that runs

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        sizes = {"bytes": self.budget.bytes, "bytes_of_set": self.budget.bytes_of_set}
        return {"shown_training_batch": self._shown_training_batch, **sizes}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume: the training batch is not shown again."""
        state = convert_plain(state_dict, _Shown, "checkpoint, state of PictureLogger", "use another checkpoint")
        self._shown_training_batch = state.shown_training_batch
        self.budget.bytes, self.budget.bytes_of_set = state.bytes, state.bytes_of_set

    @rank_zero_only
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Publish the first training batch."""
        if self._shown_training_batch:
            return
        self._shown_training_batch = True
        categories = data_module_of(trainer).categories
        self._publish(trainer, "train/batch", training_sheet(batch, categories, self.colour_by))

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the pictures of the last evaluation, and decide whether to draw this one."""
        self._drawn = []
        self._is_drawn = not trainer.sanity_checking and self._has_room(trainer)
        self._started, self._drawing_seconds = time.perf_counter(), 0.0

    def _has_room(self, trainer: Trainer) -> bool:
        """Tell whether the budget has room for pictures; evaluations that are not of a training are drawn."""
        if not trainer.validating or trainer.state.fn != TrainerFn.FITTING:
            return True
        progress = progress_of(trainer)
        return self.budget.has_room(progress.steps / progress.all_steps)

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
        self._draw(trainer, predictions_of(outputs), batch, _split(trainer))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish the drawn images."""
        self._publish_drawn(trainer, _split(trainer))

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @rank_zero_only
    def _draw(self, trainer: Trainer, predictions: Sequence[Prediction], batch: Batch, split: str) -> None:
        if not self._is_drawn or len(self._drawn) >= self.num_images:
            return
        with self._timed():
            self._draw_images(trainer, predictions, batch, split)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the seconds of drawing."""
        start = time.perf_counter()
        yield
        self._drawing_seconds += time.perf_counter() - start

    def _draw_images(self, trainer: Trainer, predictions: Sequence[Prediction], batch: Batch, split: str) -> None:
        data = data_module_of(trainer)
        index = data.prepared.indices[split]
        for prediction, truth in zip(predictions, batch.ground_truth, strict=True):
            if len(self._drawn) >= self.num_images:
                return
            position = index.index_of(truth.image_id)
            image = index.read_image(position)
            kept = prediction.select(prediction.scores >= self.score_threshold)
            outcomes = outcomes_of(kept, truth)
            self._drawn.append(draw_outcomes(image, truth, kept, outcomes, data.categories, self._caption(trainer)))

    def _caption(self, trainer: Trainer) -> str:
        """Return the text above a prediction: from which score, and after how many epochs where that is not the end."""
        is_fitting = trainer.state.fn == TrainerFn.FITTING
        epoch = f", epoch {trainer.current_epoch + 1}" if is_fitting else ""
        return f"prediction{epoch}, scores from {self.score_threshold:g}"

    @rank_zero_only
    def _publish_drawn(self, trainer: Trainer, split: str) -> None:
        if trainer.sanity_checking:
            return
        with self._timed():
            sizes = [
                self._publish(trainer, f"{split}/predictions/{number:02d}", picture)
                for number, picture in enumerate(self._drawn)
            ]
        seconds = time.perf_counter() - self._started - self._drawing_seconds
        self.budget.note(seconds, self._drawing_seconds, sum(sizes))
        self._drawn = []

    def _publish(self, trainer: Trainer, tag: str, picture: Image) -> int:
        """Write a picture, and return its bytes in TensorBoard."""
        write_image(self.folder / f"{tag.replace('/', '_')}.png", picture)
        writer = tensorboard_of(trainer)
        if writer is None:
            return 0
        jpeg = encode_jpeg(picture)
        add_jpeg(writer, tag, picture, jpeg, trainer.global_step)
        self.budget.bytes += len(jpeg)
        return len(jpeg)


def training_sheet(batch: Batch, categories: Categories, colour_by: ColourBy = "instance") -> Image:
    """Draw the images of a batch as the model sees them, with the targets on top, on a sheet that fits a screen.

    Args:
        batch: the images.
        categories: names of the labels.
        colour_by: instance or category.
    """
    columns = min(math.ceil(math.sqrt(len(batch))), MAX_COLUMNS)
    tile, pictures = tile_size(len(batch), columns), []
    for image, (height, width), target in zip(batch.images, batch.image_sizes, batch.targets, strict=True):
        size, rows = fit((height, width), tile)
        pixels = np.ascontiguousarray(image[:, :height, :width].permute(1, 2, 0).cpu().numpy())
        pictures.append(wrapped(draw_target(pixels, target.to("cpu"), categories, colour_by, size), rows))
    return contact_sheet(pictures, columns, tile)


def _split(trainer: Trainer) -> str:
    return "test" if trainer.testing else "val"
