"""Parts of a trainer that Lightning sets without declaring them, typed at one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.profilers import Profiler
from torch.utils.data import DataLoader

from instseg.core.types import Batch, Prediction


@runtime_checkable
class BatchedData(Protocol):
    """Training data in batches of one size."""

    batch_size: int  # of each rank


class _Parts(Protocol):
    callbacks: list[Callback]
    datamodule: object
    fast_dev_run: bool | int
    log_every_n_steps: float
    profiler: Profiler


def _parts(trainer: Trainer) -> _Parts:
    return cast("_Parts", trainer)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """Return the callbacks in the order in which they are called."""
    return _parts(trainer).callbacks


def data_of(trainer: Trainer) -> BatchedData:
    """Return the data that the trainer was given.

    Raises:
        TypeError: it has no batch size.
    """
    data = _parts(trainer).datamodule
    if not isinstance(data, BatchedData):
        raise TypeError(f"expected data with a batch_size, found {type(data).__name__}")
    return data


def is_trial_run(trainer: Trainer) -> bool:
    """Tell whether the trainer runs a few batches of everything and saves nothing (``fast_dev_run``)."""
    return bool(_parts(trainer).fast_dev_run)


def log_every_n_steps(trainer: Trainer) -> int:
    """Return the number of steps between two that are logged."""
    return int(_parts(trainer).log_every_n_steps)


def train_loader_of(trainer: Trainer) -> DataLoader[Batch]:
    """Return the loader of the training batches.

    Raises:
        TypeError: the trainer has none, or several.
    """
    return as_loader(trainer.train_dataloader)


def as_loader(value: object) -> DataLoader[Batch]:
    """Return a loader that a trainer holds, typed.

    Raises:
        TypeError: it is no loader.
    """
    if not isinstance(value, DataLoader):
        raise TypeError(f"expected a loader of batches, found {type(value).__name__}")
    return value


def profiler_of(trainer: Trainer) -> Profiler:
    """Return the profiler that is told of every action of the trainer."""
    return _parts(trainer).profiler


def set_profiler(trainer: Trainer, profiler: Profiler) -> None:
    """Replace the profiler.

    Args:
        trainer: whose actions it is told of.
        profiler: the new one.
    """
    _parts(trainer).profiler = profiler


def predictions_of(outputs: object) -> list[Prediction]:
    """Return the predictions that an evaluation step of an InstanceSegmentationModule returned."""
    if not isinstance(outputs, Mapping):
        raise TypeError(f"expected the outputs of an InstanceSegmentationModule, found {type(outputs).__name__}")
    predictions: list[Prediction] = outputs["predictions"]
    return predictions
