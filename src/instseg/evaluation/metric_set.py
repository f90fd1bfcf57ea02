"""Several metrics as one, each under its name in the config."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import GroundTruth, Prediction

Number = float | Tensor
AnyMetric = TypeVar("AnyMetric", bound=Metric)


class MetricSet(nn.Module):
    """Metrics of the same images, whose numbers form one table.

    A metric is a ``torchmetrics.Metric`` whose ``update(predictions, ground_truth)`` takes one ``Prediction`` for each
    ``GroundTruth``, same order, both in the frame of the original image. Its ``compute()`` gives a number, which is
    logged under the metric's name, or a mapping of names to numbers, which are logged under these. The states that it
    declares with ``add_state`` are of all ranks when ``compute`` reads them.

    Args:
        metrics: name -> metric.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        for name, metric in metrics.items():
            if not isinstance(metric, Metric):
                kind = f"{type(metric).__module__}.{type(metric).__qualname__}"
                raise InstsegError(f"metrics.{name}: expected a torchmetrics.Metric, found {kind}")
        self.names = tuple(metrics)
        self._metrics: list[Metric] = list(metrics.values())
        self.metrics = nn.ModuleList(self._metrics)  # so that their states move with the module

    def of_kind(self, kind: type[AnyMetric]) -> AnyMetric | None:
        """Return the first metric of a class, None where there is none."""
        return next((metric for metric in self._metrics if isinstance(metric, kind)), None)

    def update(self, predictions: Sequence[Prediction], ground_truth: Sequence[GroundTruth]) -> None:
        """Add images to every metric.

        Args:
            predictions: one for each image, in the frame of the original image.
            ground_truth: of the same images, in the same order.
        """
        for metric in self._metrics:
            metric.update(predictions, ground_truth)

    def compute(self, losses: Collection[str] = ()) -> dict[str, Number]:
        """Return name -> number of all metrics; every rank must call it.

        Args:
            losses: names that are taken, because the losses of the network are logged under them.

        Raises:
            InstsegError: a metric gives no number, or one whose name is taken; the message names both owners.
        """
        table: dict[str, Number] = {}
        owners = dict.fromkeys(losses, "a loss of the network")
        for name, metric in zip(self.names, self._metrics, strict=True):
            for key, value in _named(name, metric.compute()).items():
                if key in owners:
                    raise InstsegError(
                        f"metrics.{name}: expected names that nothing else is logged under, found {key}, which is also "
                        f"the name of {owners[key]}"
                    )
                table[key], owners[key] = value, f"a number of metrics.{name}"
        return table

    def check_names(self) -> None:
        """Measure one tiny image and forget it, so that what ``compute`` refuses is refused before any work.

        Raises:
            InstsegError: as ``compute``.
        """
        box, label, rle = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([1]), bitmask_to_rle(np.ones((1, 1), np.uint8))
        truth = GroundTruth(1, (1, 1), box, label, np.array([1.0]), np.array([False]), [rle])
        prediction = Prediction(1, (1, 1), box.astype(np.float32), label, np.array([1.0], np.float32), [rle])
        self.update([prediction], [truth])
        self.compute()
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        for metric in self._metrics:
            metric.reset()


def _named(name: str, computed: object) -> dict[str, Number]:
    """Return what a metric has computed as name -> number."""
    table = computed if isinstance(computed, Mapping) else {name: computed}
    for key, value in table.items():
        is_number = value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, int | float)
        if not is_number:
            found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise InstsegError(f"metrics.{name}: expected a number for {key}, found {found}")
    return dict(table)
