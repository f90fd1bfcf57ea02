"""Claim: pictures of what was found, missed and wrong take at most 5 % of the time of a training's validations.

    python benchmarks/drawing.py

A small network is trained for a minute or two on generated shapes, so that there is something to draw, or --checkpoint
names one. First its validation (60 images, of which eight are drawn) runs with and without drawing in turn. Then it is
trained on, at a learning rate of zero, with a validation after each step: a budget decides which of these are drawn.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

import instseg
from comparing import Row, compared, figure, main, parser
from instseg.checkpoints.content import load_trained_model
from instseg.data import sources
from instseg.data.datamodule import InstanceDataModule
from instseg.data.transforms.augmentation import Augmentation
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.module import InstanceSegmentationModule
from instseg.training.pictures import PictureLogger

NUM_DRAWN, THRESHOLD = 8, 0.3
SHORT = ("dataset=shapes", "trainer=cpu", "trainer.max_epochs=2", "train_fraction=0.15", "callbacks.pictures=null")


class Network:
    """A trained network and its data, to validate and to train on without a change."""

    def __init__(self, checkpoint: Path, scratch: Path) -> None:
        self.scratch = scratch
        trained = load_trained_model(checkpoint)
        self.module = InstanceSegmentationModule(
            trained.model,
            build_optimizer=lambda model, _: torch.optim.SGD(model.parameters(), lr=0.0),
            build_scheduler=lambda optimizer, _: torch.optim.lr_scheduler.ConstantLR(optimizer),
            batch_size=4,
            metrics={"coco": CocoMaskMetrics(trained.categories)},
        )
        prepared = sources.shapes(name="shapes", cache_dir=str(scratch), num_images={"train": 4, "val": 60, "test": 1})
        self.data = InstanceDataModule(prepared, Augmentation(128, 160), batch_size=4, num_workers=0)

    def validation_seconds(self, *callbacks: Callback) -> float:
        """Of the processor, as other programs cost none of these."""
        start = time.process_time()
        self._trainer(1, callbacks).validate(self.module, datamodule=self.data, verbose=False)
        return time.process_time() - start

    def train(self, num_validations: int, pictures: PictureLogger) -> None:
        self._trainer(num_validations, [pictures]).fit(self.module, datamodule=self.data)

    def _trainer(self, num_epochs: int, callbacks: Sequence[Callback]) -> Trainer:
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        logger = TensorBoardLogger(self.scratch, name="", version="")
        options = {"max_epochs": num_epochs, "num_sanity_val_steps": 0, "log_every_n_steps": 1, **quiet}
        return Trainer(accelerator="cpu", devices=1, logger=logger, callbacks=list(callbacks), **options)  # type: ignore[arg-type]


def checkpoint_of_a_short_training(scratch: Path) -> Path:
    run = instseg.train(*SHORT, f"outputs={scratch}", f"cache_dir={scratch}")
    return run.folder / "checkpoints" / "best.ckpt"


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        network = Network(arguments.checkpoint or checkpoint_of_a_short_training(scratch), scratch)
        yield from one_validation(network, arguments.repeats)
        yield whole_training(network, 8 if arguments.quick else 20)


def one_validation(network: Network, repeats: int) -> Iterator[Row]:
    pictures = PictureLogger(NUM_DRAWN, THRESHOLD, network.scratch / "pictures")
    seconds: dict[str, list[float]] = {"drawn": [], "plain": []}
    network.validation_seconds()  # warm
    for _ in range(repeats):
        seconds["drawn"].append(network.validation_seconds(pictures))
        seconds["plain"].append(network.validation_seconds())
    what = f"a validation of 60 images, {NUM_DRAWN} drawn"
    yield compared(what, "none drawn", seconds["drawn"], seconds["plain"], "s")
    more = [drawn / plain - 1 for drawn, plain in zip(seconds["drawn"], seconds["plain"], strict=True)]
    yield figure("the same", f"{statistics.median(more):.0%} more time")


class Counting(PictureLogger):
    """The same, which counts the validations that it draws."""

    num_drawn = 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_epoch_start(trainer, pl_module)
        self.num_drawn += self._is_drawn


def whole_training(network: Network, num_validations: int) -> Row:
    pictures = Counting(NUM_DRAWN, THRESHOLD, network.scratch / "pictures")
    network.train(num_validations, pictures)
    fraction = pictures.budget.drawing_seconds / pictures.budget.evaluation_seconds
    what = f"{num_validations} validations of a training, {pictures.num_drawn} of them drawn"
    return figure(what, f"{fraction:.1%} of their time", "5 % or less")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--checkpoint", type=Path, help="of a network for the generated shapes")
    main(__doc__, measure, options)
