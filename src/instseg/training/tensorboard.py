"""The TensorBoard logger of a run, and its scalars read back."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter


def tensorboard_of(trainer: Trainer) -> SummaryWriter | None:
    """Return the TensorBoard writer of a trainer, None if it has none."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            writer: SummaryWriter = logger.experiment
            return writer
    return None


def read_scalars(log_dir: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Read the scalars of a TensorBoard folder: tag -> (steps, values)."""
    events = EventAccumulator(str(log_dir), size_guidance={"scalars": 0, "images": 1, "tensors": 0})
    events.Reload()
    scalars = {}
    for tag in events.Tags()["scalars"]:
        rows = events.Scalars(tag)
        scalars[tag] = ([row.step for row in rows], [row.value for row in rows])
    return scalars
