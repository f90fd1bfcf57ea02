"""What evaluation keeps of an image: which detections overlap which ground truth, and no masks.

The overlaps are pycocotools' own. A pair below the lowest IoU threshold can match nowhere, so only the others stay,
a few dozen numbers where the masks were kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.types import GroundTruth, Prediction, Rle

MIN_IOU = 0.5  # the lowest threshold of all numbers
MAX_DETECTIONS = 100  # per image and category
MAX_AREAS = 255  # at once: pycocotools writes their number into a byte, which NumPy 2 refuses where it does not fit


@dataclass(eq=False, slots=True)
class Overlaps:
    """D detections over ground truth, as boxes or as masks: the E pairs of one label with an IoU of MIN_IOU or more.

    The IoU with a crowd is the share of the detection inside it.
    """

    areas: NDArray[np.float64]  # (D,) px²
    detections: NDArray[np.int64]  # (E,) row of the detection
    truths: NDArray[np.int64]  # (E,) row of the ground truth
    ious: NDArray[np.float64]  # (E,)


@dataclass(eq=False, slots=True)
class ImageRecord:
    """All that evaluation needs of one image: N ground-truth instances, D detections.

    The detections are sorted by label, those of a label best score first (equal scores as predicted), and end at
    MAX_DETECTIONS of each label.
    """

    image_id: int
    truth_labels: NDArray[np.int64]  # (N,)
    truth_areas: NDArray[np.float64]  # (N,) px², as annotated
    truth_iscrowd: NDArray[np.bool_]  # (N,)
    labels: NDArray[np.int64]  # (D,) ascending
    scores: NDArray[np.float64]  # (D,)
    boxes: Overlaps
    masks: Overlaps

    @classmethod
    def build(cls, prediction: Prediction, truth: GroundTruth) -> ImageRecord:
        rows = _best_first(prediction)
        labels = prediction.labels[rows].astype(np.int64)
        same_label = labels[:, None] == truth.labels
        return cls(
            image_id=truth.image_id,
            truth_labels=np.array(truth.labels, dtype=np.int64),
            truth_areas=np.array(truth.areas, dtype=np.float64),
            truth_iscrowd=np.array(truth.iscrowd, dtype=np.bool_),
            labels=labels,
            scores=prediction.scores[rows].astype(np.float64),
            boxes=_box_overlaps(_to_xywh(prediction.boxes[rows]), truth, same_label),
            masks=_mask_overlaps([prediction.rles[row] for row in rows.tolist()], truth, same_label),
        )


def unique_images(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """One record of each image_id, the first, sorted by id as pycocotools does: ties in score between images then
    fall the same way whatever order the images came in."""
    by_id = {record.image_id: record for record in reversed(records)}
    return [by_id[image_id] for image_id in sorted(by_id)]


def _best_first(prediction: Prediction) -> NDArray[np.intp]:
    """The rows of ``prediction`` in the order of ``ImageRecord``."""
    order = np.lexsort((-prediction.scores, prediction.labels))
    labels = prediction.labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return order[rank < MAX_DETECTIONS]


def _to_xywh(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _box_overlaps(boxes_xywh: NDArray[np.float64], truth: GroundTruth, same_label: NDArray[np.bool_]) -> Overlaps:
    ious = coco_mask.iou(boxes_xywh, _to_xywh(truth.boxes), truth.iscrowd)
    ious = np.asarray(ious).reshape(same_label.shape)  # of nothing it is an empty list
    found, true = np.nonzero(same_label & (ious >= MIN_IOU))
    return Overlaps(boxes_xywh[:, 2] * boxes_xywh[:, 3], found, true, ious[found, true])


def _mask_overlaps(rles: Sequence[Rle], truth: GroundTruth, same_label: NDArray[np.bool_]) -> Overlaps:
    """Label by label, without the detections whose areas rule out an IoU of MIN_IOU."""
    areas, truth_areas = _mask_areas(rles), _mask_areas(truth.rles)
    large_enough, small_enough = areas[:, None] >= MIN_IOU * truth_areas, truth_areas >= MIN_IOU * areas[:, None]
    fits = same_label & small_enough & (large_enough | truth.iscrowd)
    pairs: list[tuple[NDArray[Any], ...]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for label in set(truth.labels.tolist()):
        true = np.flatnonzero(truth.labels == label)
        found = np.flatnonzero(fits[:, true].any(axis=1))
        if found.size:
            chosen = [rles[row] for row in found.tolist()], [truth.rles[row] for row in true.tolist()]
            ious = coco_mask.iou(*chosen, truth.iscrowd[true])
            row, column = np.nonzero(ious >= MIN_IOU)
            pairs.append((found[row], true[column], ious[row, column]))
    return Overlaps(areas, *(np.concatenate(column) for column in zip(*pairs, strict=True)))


def _mask_areas(rles: Sequence[Rle]) -> NDArray[np.float64]:
    parts = [rles[start : start + MAX_AREAS] for start in range(0, len(rles), MAX_AREAS)]
    return np.concatenate([np.zeros(0), *(coco_mask.area(part) for part in parts)])
