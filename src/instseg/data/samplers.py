"""The order of the images: seeded, the same for any number of workers, and resumed in the middle of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """Everything that decides a training sample, besides the seed: any worker of any rank augments it alike."""

    epoch: int
    image_index: int
    repeat: int = 0
    """How often the image has come before in this epoch."""


class DataStart(msgspec.Struct, frozen=True):
    """The place in the training data where a training resumes."""

    epoch: Annotated[int, msgspec.Meta(ge=0)]  # in progress
    samples: Annotated[int, msgspec.Meta(ge=0)]  # of one rank, done in that epoch


def repeat_factors(has_category: NDArray[np.bool_], threshold: float) -> NDArray[np.float64]:
    """Return how often each image comes in an epoch, so that rare categories are seen more often.

    A category that a fraction f of the images has, counts sqrt(threshold / f), at least 1; an image counts as its
    rarest category. Source: Gupta et al., LVIS, 2019, appendix B.1.

    Args:
        has_category: (images, categories), whether an image has an instance of a category.
        threshold: fraction of the images below which a category is rare.

    Returns:
        (images,) of 1 or more; those without instances come once.
    """
    fractions = has_category.mean(axis=0)
    of_category = np.sqrt(threshold / np.maximum(fractions, 1 / len(has_category)))
    factors: NDArray[np.float64] = np.where(has_category, of_category, 0).max(axis=1, initial=1)
    return factors


class TrainSampler(Sampler[SampleKey]):
    """A seeded permutation per epoch, cut into equal parts for the ranks, that can start in the middle.

    Every rank draws the same permutation and takes every ``world_size``-th entry. It is filled up with its own
    beginning to a whole number of batches on every rank, so no batch is short and no rank waits for another.

    Args:
        num_images: of the dataset.
        batch_size: images of a rank and step.
        seed: of the permutations.
        rank: of this process.
        world_size: number of ranks.
        factors: (num_images,) how often each image comes in an epoch, of 1 or more; None is once. With 1.3, an image
            comes twice in three of ten epochs.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        factors: NDArray[np.float64] | None = None,
    ) -> None:
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.factors = np.ones(num_images) if factors is None else factors
        per_epoch = math.ceil(round(float(self.factors.sum()), 6))
        self.num_samples = -(-per_epoch // (batch_size * world_size)) * batch_size
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
        images, repeats = self._order()
        entries = np.resize(np.arange(len(images)), self.num_samples * self.world_size)
        start, self.start = self.start, 0
        for entry in entries[self.rank :: self.world_size][start:]:
            yield SampleKey(self.epoch, int(images[entry]), int(repeats[entry]))

    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the images of the epoch in their order, and how often each has been numbered before."""
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.factors))
        if not (self.factors > 1).any():
            return order, np.zeros(len(order), np.int64)
        ends = np.floor(np.cumsum(self.factors[order]) + random.random()).astype(np.int64)
        counts = np.diff(ends, prepend=0)  # each is its factor, rounded up or down
        images = np.repeat(order, counts)
        repeats = np.arange(len(images)) - np.repeat(ends - counts, counts)
        mixed = random.permutation(len(images))
        return images[mixed], repeats[mixed]


class EvalSampler(Sampler[SampleKey]):
    """Every image exactly once over all ranks, in order; ranks may get unequal numbers."""

    def __init__(self, num_images: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, num_images, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[SampleKey]:
        return (SampleKey(0, index) for index in self.indices)
