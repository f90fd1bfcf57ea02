"""Record of one evaluated image: the overlaps between detections and ground truth, without the masks.

The IoUs are pycocotools'. A pair below the lowest IoU threshold cannot match at any, so only the other pairs are kept:
a few dozen numbers in place of kilobytes of masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.types import GroundTruth, Prediction, Rle

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Rows of detections, rows of ground truths, and their IoUs; each (E,)."""

MIN_IOU = 0.5  # the lowest threshold of any metric
MAX_AREAS = 255  # masks a call: pycocotools stores their number in a byte, and NumPy 2 refuses one that does not fit


@dataclass(eq=False, slots=True)
class Overlaps:
    """The E pairs of a detection and a ground truth of the same label with an IoU of at least MIN_IOU.

    Either of boxes or of masks. The IoU with a crowd is the fraction of the detection inside it.
    """

    areas: NDArray[np.float64]  # (D,) px²
    detections: NDArray[np.int64]  # (E,) row of the detection
    truths: NDArray[np.int64]  # (E,) row of the ground truth
    ious: NDArray[np.float64]  # (E,)


@dataclass(eq=False, slots=True)
class ImageRecord:
    """Data that evaluation needs of one image: N ground-truth instances and D detections.

    The detections are sorted by label, within a label by descending score (equal scores in the predicted order).
    """

    image_id: int
    truth_labels: NDArray[np.int64]  # (N,)
    truth_areas: NDArray[np.float64]  # (N,) px², as annotated
    truth_iscrowd: NDArray[np.bool_]  # (N,) crowds, and instances without a mask
    truth_is_box_only: NDArray[np.bool_]  # (N,) the latter: of the boxes they are instances as others are
    labels: NDArray[np.int64]  # (D,) ascending
    scores: NDArray[np.float64]  # (D,)
    boxes: Overlaps
    masks: Overlaps

    @classmethod
    def build(cls, prediction: Prediction, truth: GroundTruth) -> ImageRecord:
        """Compare the detections of an image with its ground truth.

        Args:
            prediction: detections in the original frame.
            truth: ground truth of the same image, in the original frame.
        """
        rows = best_first(prediction)
        masks = _mask_overlaps([prediction.rles[row] for row in rows.tolist()], truth, prediction.labels[rows])
        return cls.of_masks(prediction, truth, rows, masks)

    @classmethod
    def of_masks(
        cls, prediction: Prediction, truth: GroundTruth, rows: NDArray[np.intp], masks: Overlaps
    ) -> ImageRecord:
        """Make the record of an image whose masks have been compared.

        Args:
            prediction: detections in the original frame.
            truth: ground truth of the same image, in the original frame.
            rows: (D,) of the prediction, as ``best_first`` returns them.
            masks: overlaps of its masks in this order.
        """
        labels = prediction.labels[rows].astype(np.int64)
        return cls(
            image_id=truth.image_id,
            truth_labels=np.array(truth.labels, dtype=np.int64),
            truth_areas=np.array(truth.areas, dtype=np.float64),
            truth_iscrowd=np.array(truth.iscrowd, dtype=np.bool_),
            truth_is_box_only=_is_box_only(truth),
            labels=labels,
            scores=prediction.scores[rows].astype(np.float64),
            boxes=_box_overlaps(_to_xywh(prediction.boxes[rows]), truth, labels[:, None] == truth.labels),
            masks=masks,
        )


def _is_box_only(truth: GroundTruth) -> NDArray[np.bool_]:
    return np.zeros(len(truth), np.bool_) if truth.is_box_only is None else truth.is_box_only


def best_first(prediction: Prediction) -> NDArray[np.intp]:
    """Return the rows of a prediction in the order of ``ImageRecord``, (D,)."""
    return np.lexsort((-prediction.scores, prediction.labels))


def unique_images(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Return the first record of each image_id, sorted by id.

    pycocotools sorts so, too: equal scores in two images are then ordered alike however the images arrived.
    """
    by_id = {record.image_id: record for record in reversed(records)}
    return [by_id[image_id] for image_id in sorted(by_id)]


def _to_xywh(boxes: NDArray[np.float32 | np.float64]) -> NDArray[np.float64]:
    boxes_xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def _box_overlaps(boxes_xywh: NDArray[np.float64], truth: GroundTruth, same_label: NDArray[np.bool_]) -> Overlaps:
    ious = coco_mask.iou(boxes_xywh, _to_xywh(truth.boxes), truth.iscrowd & ~_is_box_only(truth))
    ious = np.asarray(ious).reshape(same_label.shape)  # pycocotools returns an empty list for no boxes
    found, true = np.nonzero(same_label & (ious >= MIN_IOU))
    return Overlaps(boxes_xywh[:, 2] * boxes_xywh[:, 3], found, true, ious[found, true])


def _mask_overlaps(rles: Sequence[Rle], truth: GroundTruth, labels: NDArray[np.int64]) -> Overlaps:
    """Compare masks label by label, skipping detections whose area rules out an IoU of MIN_IOU."""
    areas, truth_areas = mask_areas(rles), mask_areas(truth.rles)
    large_enough, small_enough = areas[:, None] >= MIN_IOU * truth_areas, truth_areas >= MIN_IOU * areas[:, None]
    fits = (labels[:, None] == truth.labels) & small_enough & (large_enough | truth.iscrowd)
    pairs: list[Pairs] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for label in set(truth.labels.tolist()):
        true = np.flatnonzero(truth.labels == label)
        found = np.flatnonzero(fits[:, true].any(axis=1))
        if found.size:
            chosen = [rles[row] for row in found.tolist()], [truth.rles[row] for row in true.tolist()]
            ious = coco_mask.iou(*chosen, truth.iscrowd[true])
            row, column = np.nonzero(ious >= MIN_IOU)
            pairs.append((found[row], true[column], ious[row, column]))
    return Overlaps(areas, *(np.concatenate(column) for column in zip(*pairs, strict=True)))


def mask_areas(rles: Sequence[Rle]) -> NDArray[np.float64]:
    """Return the areas of masks, (N,) px²."""
    parts = [rles[start : start + MAX_AREAS] for start in range(0, len(rles), MAX_AREAS)]
    return np.concatenate([np.zeros(0), *(coco_mask.area(part) for part in parts)])


def mask_ious(prediction: Prediction, truth: GroundTruth) -> NDArray[np.float64]:
    """Return the (D, N) IoUs of masks, whatever their categories; with a crowd the fraction of the detection inside it.

    Args:
        prediction: D detections in the original frame.
        truth: N instances of the same image, in the same frame.
    """
    ious = np.zeros((len(prediction), len(truth)))
    for row in range(0, len(prediction), MAX_AREAS):
        for column in range(0, len(truth), MAX_AREAS):
            rows, columns = slice(row, row + MAX_AREAS), slice(column, column + MAX_AREAS)
            ious[rows, columns] = coco_mask.iou(prediction.rles[rows], truth.rles[columns], truth.iscrowd[columns])
    return ious
