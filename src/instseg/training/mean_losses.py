"""The losses of an evaluation, averaged over its images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import MeanMetric


class MeanLosses:
    """Means of the losses of a network, weighted by images, over all ranks."""

    def __init__(self) -> None:
        self._means: dict[str, MeanMetric] = {}

    def update(self, losses: Mapping[str, Tensor], num_images: int) -> None:
        """Add the losses of one batch.

        Args:
            losses: name -> loss, a mean over the images.
            num_images: number of images in the batch.
        """
        for name, value in losses.items():
            self._mean(name, value.device).update(value, weight=num_images)

    def compute(self, device: torch.device) -> dict[str, Tensor]:
        """Return the means.

        Args:
            device: of this rank; a rank without a batch knows neither the losses nor their device.
        """
        return {name: self._mean(name, device).compute() for name in _names_of_all_ranks(self._means)}

    def reset(self) -> None:
        """Forget everything; the next evaluation may have other losses, on another device."""
        self._means = {}

    def _mean(self, name: str, device: torch.device) -> MeanMetric:
        if name not in self._means:
            mean = MeanMetric().to(device)
            mean.set_dtype(torch.float32)  # as in the log, whatever the precision of the training
            self._means[name] = mean
        return self._means[name]


def _names_of_all_ranks(names: Iterable[str]) -> list[str]:
    """Return the names in the same order on each rank, as each mean is a collective operation."""
    if not (dist.is_available() and dist.is_initialized()):
        return list(names)
    gathered: list[list[str]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(gathered, list(names))
    return list(dict.fromkeys(name for own in gathered for name in own))
