"""The data of a run: the prepared data set and its loaders."""

from __future__ import annotations

from instseg.app.config import RunConfig
from instseg.app.instantiate import build, of_kind
from instseg.app.job import Job
from instseg.app.record import write_record
from instseg.data.datamodule import InstanceDataModule
from instseg.data.prepared import PreparedDataset
from instseg.data.transforms.augmentation import Augmentation


def build_dataset(config: RunConfig) -> PreparedDataset:
    """Prepare the data set: read, select, split and index its labels, or open them again."""
    return of_kind(build(config.dataset), PreparedDataset, "dataset")


def build_recorded_dataset(config: RunConfig, job: Job) -> PreparedDataset:
    """Prepare the data set of a run that looks at nothing else, and write its record.

    Args:
        config: of the run.
        job: with the overrides that composed it.
    """
    prepared = build_dataset(config)
    write_record(config, job, prepared)
    return prepared


def build_datamodule(config: RunConfig, prepared: PreparedDataset) -> InstanceDataModule:
    """Build the loaders over a prepared data set.

    Args:
        config: of the run.
        prepared: the data set.
    """
    augmentation = of_kind(build(config.augmentation), Augmentation, "augmentation")
    prepared = prepared.with_fraction_of_training(config.train_fraction, config.seed)
    return InstanceDataModule(
        prepared,
        augmentation,
        config.batch_size,
        config.num_workers,
        config.seed,
        config.overfit_images,
        config.repeat_threshold,
    )
