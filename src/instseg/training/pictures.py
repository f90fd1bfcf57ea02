"""Pictures of a training: ground truth beside prediction, and what the network is trained on."""

from __future__ import annotations

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
from instseg.training.progress import progress_of
from instseg.training.tensorboard import add_jpeg, as_jpeg, tensorboard_of
from instseg.training.trainer_parts import data_of
from instseg.visualization.draw import draw_ground_truth, draw_prediction, draw_target
from instseg.visualization.sheets import contact_sheet, side_by_side, write_image


class _Shown(msgspec.Struct):
    shown_training_batch: bool
    bytes: int = 0  # in TensorBoard; early versions did not count them
    bytes_of_set: int = 0


class PictureLogger(Callback):
    """Writer of ground truth beside prediction for the first images of each evaluation, and of one training batch.

    Args:
        num_images: number of images of the validation (and test) split.
        score_threshold: detections below it are not drawn.
        folder: for PNGs of the last evaluation that was drawn and of the training batch.
        max_megabytes: of pictures in TensorBoard, spread evenly over the training. Validations whose pictures would not
            fit are not drawn; the first one and the test are.
    """

    def __init__(self, num_images: int, score_threshold: float, folder: Path | str, max_megabytes: float = 5.0) -> None:
        self.num_images, self.score_threshold, self.folder = num_images, score_threshold, Path(folder)
        self.max_bytes = max_megabytes * 1e6
        self._drawn: list[Image] = []
        self._is_drawn = False
        self._shown_training_batch = False
        self._bytes = self._bytes_of_set = 0  # in TensorBoard: of all pictures, and of those of one evaluation

    def state_dict(self) -> dict[str, object]:
        """Return what a resumed run needs to know."""
        sizes = {"bytes": self._bytes, "bytes_of_set": self._bytes_of_set}
        return {"shown_training_batch": self._shown_training_batch, **sizes}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Resume: the training batch is not shown again."""
        state = convert_plain(state_dict, _Shown, "checkpoint, state of PictureLogger", "use another checkpoint")
        self._shown_training_batch = state.shown_training_batch
        self._bytes, self._bytes_of_set = state.bytes, state.bytes_of_set

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
        """Forget the pictures of the last evaluation, and decide whether to draw this one."""
        self._drawn = []
        self._is_drawn = not trainer.sanity_checking and self._has_room(trainer)

    def _has_room(self, trainer: Trainer) -> bool:
        """Tell whether pictures fit into the part of the bytes that this part of the training may use.

        Room for the pictures of the test is kept; evaluations that are not of a training are drawn.
        """
        if not trainer.validating or trainer.state.fn != TrainerFn.FITTING or not self._bytes_of_set:
            return True
        progress = progress_of(trainer)
        return self._bytes + 2 * self._bytes_of_set <= self.max_bytes * min(1.0, progress.steps / progress.all_steps)

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
        if not self._is_drawn:
            return
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
        sizes = [
            self._publish(trainer, f"{split}/predictions/{number:02d}", picture)
            for number, picture in enumerate(self._drawn)
        ]
        self._bytes_of_set = max(self._bytes_of_set, sum(sizes))
        self._drawn = []

    def _publish(self, trainer: Trainer, tag: str, picture: Image) -> int:
        """Write a picture, and return its bytes in TensorBoard."""
        write_image(self.folder / f"{tag.replace('/', '_')}.png", picture)
        writer = tensorboard_of(trainer)
        if writer is None:
            return 0
        jpeg = as_jpeg(picture)
        add_jpeg(writer, tag, picture, jpeg, trainer.global_step)
        self._bytes += len(jpeg)
        return len(jpeg)


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


def _predictions(outputs: object) -> list[Prediction]:
    """Return the predictions that an evaluation step of an InstanceSegmentationModule returned."""
    if not isinstance(outputs, Mapping):
        raise TypeError(f"expected the outputs of an InstanceSegmentationModule, found {type(outputs).__name__}")
    predictions: list[Prediction] = outputs["predictions"]
    return predictions


def _split(trainer: Trainer) -> str:
    return "test" if trainer.testing else "val"


def _data(trainer: Trainer) -> InstanceDataModule:
    data = data_of(trainer)
    assert isinstance(data, InstanceDataModule)
    return data
