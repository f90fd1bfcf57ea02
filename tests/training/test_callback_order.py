"""No callback relies on another's position: in any order a training saves the same and ends the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from perfect_network import CATEGORIES, PerfectNetwork, batch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from sampled import first
from torch.utils.data import DataLoader

from instseg.checkpoints.content import DescribeCheckpoint
from instseg.checkpoints.last_checkpoint import LastCheckpoint
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.training.averaging import AverageOfEpochs, ExponentialAverage
from instseg.training.callbacks import CurvePlotter, Throughput
from instseg.training.coordinated_stop import StopTogether
from instseg.training.history import History
from instseg.training.module import InstanceSegmentationModule

CONFIG = {"augmentation": {"min_size": 32, "max_size": 64}, "model": {}}
ORDERS = range(3)


class Data(pl.LightningDataModule):
    batch_size = 1

    def train_dataloader(self) -> DataLoader:
        return DataLoader([batch(i) for i in range(4)], batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader([batch(9)], batch_size=None)


class CountsBatches(pl.Callback):
    """A callback from outside, with a state."""

    def __init__(self) -> None:
        self.done = 0

    def on_train_batch_end(self, *_: object) -> None:
        self.done += 1

    def state_dict(self) -> dict[str, int]:
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.done = state["done"]


def train(folder: Path, order: int, average: pl.Callback):
    """Train two epochs of four steps with the callbacks in one of their orders; returns the module."""
    checkpoints = folder / "checkpoints"
    callbacks = [
        LastCheckpoint(checkpoints, None),
        ModelCheckpoint(checkpoints, "best", "val/loss", save_on_train_epoch_end=False, enable_version_counter=False),
        EarlyStopping("val/loss", patience=9),
        StopTogether(),
        Throughput(),
        CurvePlotter(folder),
        History(folder, "val/loss", "min"),
        CountsBatches(),
        average,
    ]
    random.Random(order).shuffle(callbacks)
    module = InstanceSegmentationModule(
        PerfectNetwork(),
        build_optimizer=lambda model, images: torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9),
        build_scheduler=lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
        metrics={"coco": CocoMaskMetrics(CATEGORIES)},
        callbacks=[DescribeCheckpoint(CATEGORIES, CONFIG)],
    )
    trainer = pl.Trainer(
        max_epochs=2, callbacks=callbacks, logger=pl.loggers.TensorBoardLogger(folder, name="", version=""),
        default_root_dir=folder, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=Data())
    return module


def plain(value: object) -> object:
    """A checkpoint without what differs from run to run: times, paths and the sizes of event files."""
    if isinstance(value, dict):
        left_out = {"images_per_second", "elapsed_seconds", "seconds", "events", "random", "pytorch-lightning_version"}
        return {Path(str(k)).name: plain(v) for k, v in sorted(value.items(), key=str) if k not in left_out}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return Path(value).name if isinstance(value, str) else value


def saved(folder: Path, name: str) -> object:
    return plain(torch.load(folder / "checkpoints" / name, weights_only=True))


@pytest.mark.parametrize("average", first(1, [ExponentialAverage, AverageOfEpochs]))
def test_in_any_order_the_same_is_saved_and_the_module_holds_the_average_at_the_end(tmp_path, average):
    whole = [train(tmp_path / str(order), order, average(0.5)) for order in ORDERS]
    assert len({float(module.model.weight.detach()) for module in whole}) == 1
    for name in ("best.ckpt", "last.ckpt"):
        expected = saved(tmp_path / "0", name)
        assert expected["instseg"]["categories"] == ["car", "person"]
        for order in ORDERS:
            assert repr(saved(tmp_path / str(order), name)) == repr(expected), (name, order)
