"""The LightningDataModule: loaders whose content is decided by seed, epoch and position alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from instseg.core.categories import Categories
from instseg.core.records import convert_plain
from instseg.core.types import Batch, Sample
from instseg.data.dataset import InstanceDataset, collate
from instseg.data.prepared import PreparedDataset
from instseg.data.samplers import DataStart, EvalSampler, TrainSampler, repeat_factors
from instseg.data.transforms.protocol import Augment

MAX_AUTO_WORKERS = 8


class InstanceDataModule(pl.LightningDataModule):
    """Loaders over a prepared dataset.

    Args:
        prepared: the indices of train, val and test.
        augmentation: resize for all three, random transforms for training.
        batch_size: images per process in training; evaluation takes them one by one on CPU, where padding two
            images of different shape to a common size only costs time.
        num_workers: loader processes; "auto" takes half the cores of this process, 8 at most.
        seed: decides order and augmentation.
        overfit_images: train, validate and test on this many training images with instances, and on no other.
        repeat_threshold: fraction of the training images below which a category is rare, and its images come more than
            once in an epoch; None never.
    """

    def __init__(
        self,
        prepared: PreparedDataset,
        augmentation: Augment,
        batch_size: int = 2,
        num_workers: int | str = "auto",
        seed: int = 0,
        overfit_images: int | None = None,
        repeat_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.prepared = prepared.on_training_images(overfit_images) if overfit_images else prepared
        self.augmentation = augmentation
        self.batch_size, self.seed = batch_size, seed
        self.repeat_threshold = repeat_threshold
        self._start = DataStart(0, 0)
        self.num_workers = auto_workers() if num_workers == "auto" else int(num_workers)

    @property
    def categories(self) -> Categories:
        """Categories of the dataset."""
        return self.prepared.categories

    def train_dataset(self) -> InstanceDataset:
        """Return the training images, augmented, from which ``train_dataloader`` loads."""
        return self._dataset("train", training=True)

    def repeat_factors(self) -> NDArray[np.float64] | None:
        """Return how often each training image comes in an epoch; None where all come once."""
        if self.repeat_threshold is None:
            return None
        return repeat_factors(self.prepared.indices["train"].has_category(), self.repeat_threshold)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of augmented training batches, which starts where a resumed run has stopped."""
        dataset = self.train_dataset()
        sampler = TrainSampler(len(dataset), self.batch_size, self.seed, *self._rank(), self.repeat_factors())
        sampler.resume(self._start.epoch, self._start.samples)
        return self._loader(dataset, sampler, self.batch_size)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of the validation images, each once over all ranks."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of the test images, each once over all ranks."""
        return self._eval_loader("test")

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Resume from the place in the data that a checkpoint holds, a ``DataStart`` as a mapping.

        A plain loader would replay the epoch's first batches. Lightning calls this before it asks for the loader, and
        restores its own progress after.

        Raises:
            InstsegError: the checkpoint holds no such place.
        """
        where = "the checkpoint to resume from, place in the data"
        self._start = convert_plain(state_dict, DataStart, where, "use another checkpoint")
        # Lightning cannot know that the sampler starts there.
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable")

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Copy to a GPU without waiting for it: the loader has pinned the batch.

        Args:
            batch: from a loader.
            device: of the model.
            dataloader_idx: unused, given by Lightning.
        """
        return batch.to(device, non_blocking=device.type == "cuda")

    def _eval_loader(self, split: str) -> DataLoader[Sample]:
        dataset = self._dataset(split, training=False)
        batch_size = self.batch_size if self._is_on_gpu() else 1
        return self._loader(dataset, EvalSampler(len(dataset), *self._rank()), batch_size)

    def _dataset(self, split: str, training: bool) -> InstanceDataset:
        return InstanceDataset(self.prepared.indices[split], self.augmentation, training, self.seed)

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _is_on_gpu(self) -> bool:
        """Tell whether the trainer computes on a GPU; one that was told to use the CPU may run beside an idle GPU."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _loader(
        self, dataset: InstanceDataset, sampler: TrainSampler | EvalSampler, batch_size: int
    ) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=self._is_on_gpu(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_single_threaded,
            generator=torch.Generator().manual_seed(self.seed),  # else each epoch moves the global one
        )


def auto_workers() -> int:
    """Return half of the cores this process may use: the other half trains, on a machine without a GPU."""
    return min(MAX_AUTO_WORKERS, len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else 2)


def _single_threaded(_worker_id: int) -> None:
    cv2.setNumThreads(0)
