"""The order of the images: seeded, the same for any number of workers, and resumed in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """Everything that decides a training sample, besides the seed: any worker of any rank augments it alike."""

    epoch: int
    image_index: int


class DataStart(msgspec.Struct, frozen=True):
    """The place in the training data where a training resumes."""

    epoch: Annotated[int, msgspec.Meta(ge=0)]  # in progress
    samples: Annotated[int, msgspec.Meta(ge=0)]  # of one rank, done in that epoch


class TrainSampler(Sampler[SampleKey]):
    """A seeded permutation per epoch, cut into equal parts for the ranks, that can start in the middle.

    Every rank draws the same permutation and takes every ``world_size``-th entry. It is filled up with its own
    beginning to a whole number of batches on every rank, so no batch is short and no rank waits for another.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.num_images, self.seed, self.rank, self.world_size = num_images, seed, rank, world_size
        self.num_samples = -(-num_images // (batch_size * world_size)) * batch_size
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Start an epoch from its beginning; Lightning calls this before each."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def resume(self, epoch: int, num_samples_done: int) -> None:
        """Resume in the middle of an epoch.

        Args:
            epoch: in progress.
            num_samples_done: of this rank, in that epoch.
        """
        self.epoch, self.start = epoch, min(num_samples_done, self.num_samples)

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_images)
        padded = np.resize(order, self.num_samples * self.world_size)
        start, self.start = self.start, 0
        for index in padded[self.rank :: self.world_size][start:]:
            yield SampleKey(self.epoch, int(index))


class EvalSampler(Sampler[SampleKey]):
    """Every image exactly once over all ranks, in order; ranks may get unequal numbers."""

    def __init__(self, num_images: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, num_images, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[SampleKey]:
        return (SampleKey(0, index) for index in self.indices)
