"""Data of one image for the analysis of errors: its record, and what AP does not need.

AP compares masks of one category that overlap by half. Errors are told apart by what lies below that and across
categories, so these pairs are kept as well, and where every instance lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.types import GroundTruth, ImageSize, Prediction, Rle
from instseg.evaluation.image_record import MIN_IOU, ImageRecord, Overlaps, best_first, mask_areas
from instseg.evaluation.matching import Pool

NEAR_IOU = 0.1
"""The lowest IoU at which a detection is of an instance, and no longer of the background (Bolya et al., 2020)."""

Boxes = NDArray[np.float64]
"""(N, 4) xyxy, absolute px."""


@dataclass(eq=False, slots=True)
class PlacedRecord:
    """Record of an image with N instances and D detections, and where these lie; rows are those of the record."""

    record: ImageRecord
    image_size: ImageSize
    truth_boxes: Boxes  # (N, 4)
    boxes: Boxes  # (D, 4)


@dataclass(eq=False, slots=True)
class ImageDetails(PlacedRecord):
    """The same with the pairs that are near each other."""

    predicted_rows: NDArray[np.int64]  # (D,) row of each detection in the prediction
    near: Overlaps  # masks of any two labels with an IoU of at least NEAR_IOU; with a crowd as in the record

    @classmethod
    def build(cls, prediction: Prediction, truth: GroundTruth) -> ImageDetails:
        """Compare the detections of an image with its ground truth.

        Args:
            prediction: detections in the original frame.
            truth: ground truth of the same image, in the original frame.
        """
        rows = best_first(prediction)
        near = _near([prediction.rles[row] for row in rows.tolist()], truth)
        is_same = prediction.labels[rows[near.detections]] == truth.labels[near.truths]
        kept = is_same & (near.ious >= MIN_IOU)
        masks = Overlaps(near.areas, near.detections[kept], near.truths[kept], near.ious[kept])
        return cls(
            record=ImageRecord.of_masks(prediction, truth, rows, masks),
            image_size=truth.image_size,
            predicted_rows=rows.astype(np.int64),
            truth_boxes=np.asarray(truth.boxes, dtype=np.float64).reshape(-1, 4),
            boxes=np.asarray(prediction.boxes[rows], dtype=np.float64).reshape(-1, 4),
            near=near,
        )


def _near(rles: Sequence[Rle], truth: GroundTruth) -> Overlaps:
    ious = np.asarray(coco_mask.iou(rles, truth.rles, truth.iscrowd))
    ious = ious.reshape(len(rles), len(truth))  # pycocotools returns an empty list for no masks
    found, true = np.nonzero(ious >= NEAR_IOU)
    return Overlaps(mask_areas(rles), found, true, ious[found, true])


@dataclass(eq=False, slots=True)
class InstancePool:
    """The rows of all images, concatenated as in ``Pool``: G of ground truth, D of detections."""

    rows: Pool
    images: NDArray[np.int64]  # (D,)
    truth_images: NDArray[np.int64]  # (G,)
    near: Overlaps  # of masks

    @classmethod
    def of_records(cls, records: Sequence[ImageRecord]) -> InstancePool:
        """Concatenate the rows of images of which only the pairs of one category with an IoU of MIN_IOU are known.

        Args:
            records: the images, each once, sorted by image_id.
        """
        pool = Pool.of(records)
        return cls(pool, pool.images(), pool.truth_images(), pool.overlaps([record.masks for record in records]))


@dataclass(eq=False, slots=True)
class DetailsPool(InstancePool):
    """The same with what the analysis of errors needs besides, and with every pair that is near each other."""

    details: Sequence[ImageDetails]
    predicted_rows: NDArray[np.int64]  # (D,) row in the prediction of its image
    truth_rows: NDArray[np.int64]  # (G,) row in the ground truth of its image

    @classmethod
    def of(cls, details: Sequence[ImageDetails]) -> DetailsPool:
        """Concatenate the rows of the images.

        Args:
            details: the images, each once, sorted by image_id.
        """
        pool = Pool.of([one.record for one in details])
        truth_images = pool.truth_images()
        return cls(
            rows=pool,
            images=pool.images(),
            truth_images=truth_images,
            near=pool.overlaps([one.near for one in details]),
            details=details,
            predicted_rows=np.concatenate([np.zeros(0, np.int64), *(one.predicted_rows for one in details)]),
            truth_rows=np.arange(len(truth_images)) - pool.truth_starts[truth_images],
        )

    def by_score(self) -> NDArray[np.int64]:
        """Return the detections image by image, best score first whatever their labels, equal ones as predicted."""
        return np.lexsort((self.predicted_rows, -self.rows.scores, self.images))
