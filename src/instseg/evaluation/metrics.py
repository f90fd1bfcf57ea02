"""COCO average precision and recall of masks and boxes, gathered over ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch.distributed import ProcessGroup
from torchmetrics import Metric

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import GroundTruth, ImageSize, Prediction, Rle
from instseg.evaluation.detection_limits import COCO_LIMIT, DETECTION_LIMITS, NO_LIMIT
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.matching import AREAS, FOUND, Matches, Pool, match, within_areas
from instseg.evaluation.precision_recall import precision_and_recall

MATCH_SCORE = 0.5


class CocoMaskMetrics(Metric):
    """The COCO numbers of a detector, equal to pycocotools', computed from run-length masks.

    ``compute()`` returns a flat dictionary; for each of ``bbox`` and ``segm``:

    - ``segm_map``, ``segm_map_50``, ``segm_map_75``: average precision over IoU 0.50:0.95, at 0.50, at 0.75;
      ``segm_map_small | _medium | _large``: of instances below 32², between, and above 96² px² as annotated;
    - ``segm_mar_1 | _10 | _100``: average recall with so many detections per image and category;
      ``segm_mar_small | _medium | _large``: with 100, by size;
    - ``segm_map/<category>``: average precision of one category;
    - ``segm_map_all``: ``segm_map`` over all detections, where COCO counts the best 100 of each image and category;

    and for the instances that were found:

    - ``mean_mask_iou``: detections with a score of at least 0.5, best first, each take the free non-crowd instance
      of their category with the highest mask IoU, if that is at least 0.5; the mean of these IoUs. It measures how
      well the masks of found instances fit, not how many were found: that is ``matched_instances`` (their number) out
      of ``num_instances`` (non-crowd instances in ``num_images`` images).

    Where an instance has no mask, a detection in its box is ignored by mask AP, as in a crowd; box AP counts both.

    A number without any ground truth is NaN (pycocotools writes -1, which a plot would show as a score).

    On several ranks every rank must call ``compute``. The records go to the first rank of the group, which drops
    images that a distributed sampler repeated (the first record of an image_id counts), evaluates once and sends the
    result to all; ranks may hold different numbers of images, or none. Records are Python objects, which states of
    torchmetrics cannot hold, so they are an attribute and ``compute`` gathers them itself. Masks are compared in
    ``update`` and not kept: a record is a few numpy arrays on the CPU, 2 kB and about 80 bytes for each instance,
    whatever the size of its mask; moving the metric to a device changes nothing. ``measured`` holds the images of the
    last ``compute`` until ``reset``: on the first rank those of all ranks, elsewhere none.

    Args:
        categories: names of the labels 1...
        process_group: the ranks that evaluate together; None for all.
        sync_on_compute: True for the images of all ranks, False for those of this rank.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    def __init__(
        self, categories: Categories, process_group: ProcessGroup | None = None, sync_on_compute: bool = True
    ) -> None:
        super().__init__(process_group=process_group, sync_on_compute=sync_on_compute)
        self.categories = categories
        self.records: list[ImageRecord] = []
        self.measured: list[ImageRecord] = []

    def update(self, predictions: Sequence[Prediction], ground_truth: Sequence[GroundTruth]) -> None:
        """Add images.

        Args:
            predictions: one for each ground truth, in the frame of the original image.
            ground_truth: of the same images, in the same order.

        Raises:
            InstsegError: the two are not of the same images, or a label, a mask size or a score is invalid.
        """
        if len(predictions) != len(ground_truth):
            raise InstsegError(
                f"metrics: {plural(len(ground_truth), 'image')} with ground truth, "
                f"{plural(len(predictions), 'prediction')}"
            )
        for prediction, truth in zip(predictions, ground_truth, strict=True):
            self._check_image(prediction, truth)
        self.records.extend(ImageRecord.build(*pair) for pair in zip(predictions, ground_truth, strict=True))

    def compute(self) -> dict[str, float]:
        """Return the table described above, the same on every rank.

        Raises:
            RuntimeError: on every rank but the first, when the evaluation failed there.
        """
        if not (self.sync_on_compute and dist.is_available() and dist.is_initialized()):
            self.measured = unique_images(self.records)
            return evaluate_records(self.measured, self.categories)
        self.measured = unique_images(self._of_all_ranks())
        result: list[dict[str, float] | None] = [None]
        try:
            if dist.get_rank(self.process_group) == 0:
                result[0] = evaluate_records(self.measured, self.categories)
        finally:  # after an error, too: the other ranks are waiting
            dist.broadcast_object_list(result, group=self.process_group, group_src=0)
        if result[0] is None:
            raise RuntimeError("metrics: the evaluation failed on the first rank; its own error tells why")
        return result[0]

    def forward(self, predictions: Sequence[Prediction], ground_truth: Sequence[GroundTruth]) -> dict[str, float]:
        """Add images as ``update`` does, and return the table of these alone, on this rank."""
        self.update(predictions, ground_truth)
        return evaluate_records(self.records[len(self.records) - len(predictions) :], self.categories)

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self.records, self.measured = [], []

    def _of_all_ranks(self) -> list[ImageRecord]:
        """Return all records on the first rank, in the order of the ranks, and none on the others."""
        gathered: list[list[ImageRecord]] | None = None
        if dist.get_rank(self.process_group) == 0:
            gathered = [[] for _ in range(dist.get_world_size(self.process_group))]
        dist.gather_object(self.records, gathered, group=self.process_group, group_dst=0)
        return [record for records in gathered or () for record in records]

    def _check_image(self, prediction: Prediction, truth: GroundTruth) -> None:
        where = f"metrics, image {truth.image_id}"
        if prediction.image_id != truth.image_id:
            raise InstsegError(f"{where}: the prediction is of image {prediction.image_id}")
        for name, instances in (("ground truth", truth), ("prediction", prediction)):
            self._check_labels(instances.labels, f"{where}, {name}")
            _check_sizes(instances.rles, truth.image_size, f"{where}, {name}")
        if not np.isfinite(prediction.scores).all():
            raise InstsegError(f"{where}: expected finite scores, found {prediction.scores.tolist()}")

    def _check_labels(self, labels: NDArray[np.int64], where: str) -> None:
        outside = labels[(labels < 1) | (labels > len(self.categories))]
        if outside.size:
            raise InstsegError(f"{where}: expected labels 1..{len(self.categories)}, found {outside[0]}")


def _check_sizes(rles: Sequence[Rle], image_size: ImageSize, where: str) -> None:
    for rle in rles:
        if tuple(rle["size"]) != tuple(image_size):  # overlaps with it would silently be -1
            raise InstsegError(f"{where}: expected masks of size {list(image_size)}, found {list(rle['size'])}")


def evaluate_records(records: Sequence[ImageRecord], categories: Categories) -> dict[str, float]:
    """Return the flat table of ``CocoMaskMetrics.compute``.

    Args:
        records: images in any order; of several with one image_id the first counts.
        categories: names of the labels 1...
    """
    images = unique_images(records)
    pool = Pool.of(images)
    boxes, masks = pool.overlaps([image.boxes for image in images]), pool.overlaps([image.masks for image in images])
    values: dict[str, float] = {}
    for iou_type, own, overlaps in (("bbox", pool.of_boxes(images), boxes), ("segm", pool, masks)):
        matches, within = match(own, overlaps), within_areas(overlaps.areas)
        precision, recall = precision_and_recall(own, matches, within, len(categories))
        values |= _table(iou_type, precision, recall, categories)
        if pool.ranks.max(initial=0) >= COCO_LIMIT:
            precision, _ = precision_and_recall(own, matches, within, len(categories), NO_LIMIT)
        values[f"{iou_type}_map_all"] = _mean_defined(precision[..., 0])
    return values | _found_instances(pool, matches) | {"num_images": float(len(images))}  # matches of the masks


def _table(
    iou_type: str, precision: NDArray[np.float64], recall: NDArray[np.float64], categories: Categories
) -> dict[str, float]:
    """Return the 12 COCO numbers and the AP of each category, all read from the same two arrays."""
    values = {"map": precision[..., 0], "map_50": precision[0, ..., 0], "map_75": precision[5, ..., 0]}
    values |= {f"map_{area}": precision[..., index] for index, area in enumerate(AREAS) if index}
    values |= {f"mar_{limit}": recall[:, :, 0, index] for index, limit in enumerate(DETECTION_LIMITS)}
    values |= {f"mar_{area}": recall[..., index, -1] for index, area in enumerate(AREAS) if index}
    values |= {f"map/{name}": precision[:, :, index, 0] for index, name in enumerate(categories.names)}
    return {f"{iou_type}_{key}": _mean_defined(value) for key, value in values.items()}


def _found_instances(pool: Pool, matches: Matches) -> dict[str, float]:
    found = (matches.outcomes[:, 0, 0] == FOUND) & (pool.scores[matches.detections] >= MATCH_SCORE)
    ious = matches.ious[found][
        np.argsort(matches.detections[found])
    ]  # in the order of the images, for a reproducible mean
    return {
        "mean_mask_iou": float(np.mean(ious)) if ious.size else math.nan,
        "matched_instances": float(ious.size),
        "num_instances": float((~pool.truth_iscrowd).sum()),
    }


def _mean_defined(values: NDArray[np.float64]) -> float:
    """Return the mean of all but the -1 of absent categories; NaN if there is nothing else."""
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else math.nan
