"""The accuracy of an exported network beside that of the network in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from instseg.core.types import Batch, Image
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.prediction.predictor import Network

MAX_AP_DIFFERENCE = 0.001


@dataclass(frozen=True, slots=True)
class ApComparison:
    """Mask AP of the same images by the network in PyTorch and by the exported one."""

    reference: float
    found: float
    num_images: int

    @property
    def is_close(self) -> bool:
        """Tell whether they are as close as an export must be; undefined ones, of nothing to find, are."""
        both_undefined = math.isnan(self.reference) and math.isnan(self.found)
        return both_undefined or abs(self.found - self.reference) <= MAX_AP_DIFFERENCE


def compare_ap(
    batches: Iterable[Batch], reference: Network, found: Network, passed: Callable[[int], None] = lambda _: None
) -> ApComparison:
    """Measure both networks on the same images.

    Args:
        batches: with ground truth.
        reference: in PyTorch.
        found: the exported one.
        passed: called after each batch with its number of images.
    """
    networks = (reference, found)
    metrics = [CocoMaskMetrics(reference.categories, sync_on_compute=False) for _ in networks]
    for batch in batches:
        images = _unpadded(batch)
        for network, metric in zip(networks, metrics, strict=True):
            metric.update(network.predict(images, batch.image_ids, batch.original_sizes), batch.ground_truth)
        passed(len(batch))
    tables = [metric.compute() for metric in metrics]
    return ApComparison(tables[0]["segm_map"], tables[1]["segm_map"], int(tables[0]["num_images"]))


def _unpadded(batch: Batch) -> Sequence[Image]:
    images = batch.images.permute(0, 2, 3, 1).cpu().numpy()
    return [image[:height, :width] for image, (height, width) in zip(images, batch.image_sizes, strict=True)]
