"""The accuracy of an exported network beside that of the network in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instseg.core.categories import Categories
from instseg.core.types import Batch, Image
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.estimates import Estimate, draws_for
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.evaluation.paired import paired
from instseg.evaluation.resampling import Measure
from instseg.prediction.nms import OF_NETWORK, Nms
from instseg.prediction.predictor import Network

MAX_AP_DIFFERENCE = 0.001


@dataclass(frozen=True, slots=True)
class ApComparison:
    """Mask AP of the same images by the network in PyTorch and by the exported one."""

    reference: float
    found: float
    num_images: int
    difference: Estimate | None = None
    """AP of the exported one less that in PyTorch; measured where it was asked for."""

    @property
    def is_close(self) -> bool:
        """Tell whether they are as close as an export must be; undefined ones, of nothing to find, are."""
        both_undefined = math.isnan(self.reference) and math.isnan(self.found)
        return both_undefined or abs(self.found - self.reference) <= MAX_AP_DIFFERENCE


def compare_ap(
    batches: Iterable[Batch], reference: Network, found: Network, with_interval: bool = False, nms: Nms = OF_NETWORK
) -> ApComparison:
    """Measure both networks on the same images.

    Args:
        batches: with ground truth.
        reference: in PyTorch.
        found: the exported one.
        with_interval: measure the interval of their difference, too.
        nms: suppression after that of the networks.
    """
    networks = (reference, found)
    metrics = [CocoMaskMetrics(reference.categories, sync_on_compute=False) for _ in networks]
    for batch in batches:
        images = _unpadded(batch)
        for network, metric in zip(networks, metrics, strict=True):
            predictions = network.predict(images, batch.image_ids, batch.original_sizes)
            judged = [truth.judged(nms(one)) for one, truth in zip(predictions, batch.ground_truth, strict=True)]
            metric.update(judged, batch.ground_truth)
    tables = [metric.compute() for metric in metrics]
    difference = _difference(metrics[0].measured, metrics[1].measured, reference.categories) if with_interval else None
    return ApComparison(tables[0]["segm_map"], tables[1]["segm_map"], int(tables[0]["num_images"]), difference)


def _difference(reference: list[ImageRecord], found: list[ImageRecord], categories: Categories) -> Estimate:
    """Return AP of the found less that of the reference, with the interval of a paired bootstrap."""
    aps = [ResampledAp(records, categories, "segm_map") for records in (reference, found)]
    num_detections = sum(len(record.labels) for record in (*reference, *found))
    (ap,) = paired([_as_numbers(ap) for ap in aps], draws_for(len(reference), num_detections))
    return ap.differences[0]


def _as_numbers(ap: ResampledAp) -> Measure:
    return lambda weights: ap(weights)[:, None]


def _unpadded(batch: Batch) -> Sequence[Image]:
    images = batch.images.permute(0, 2, 3, 1).cpu().numpy()
    return [image[:height, :width] for image, (height, width) in zip(images, batch.image_sizes, strict=True)]
