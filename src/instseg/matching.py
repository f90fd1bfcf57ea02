"""COCO evaluation of many images at once, on run-length masks, without a dense mask or a second pass.

The numbers are those of pycocotools' ``COCOeval`` (Lin et al., 2014, https://cocodataset.org/#detection-eval); the
matching and the precision-recall curves run in C++ (faster_coco_eval), the overlaps are pycocotools' own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.categories import Categories
from instseg.types import GroundTruth, ImageSize, Prediction, Rle

AREAS = ("all", "small", "medium", "large")
MAX_DETECTIONS = (1, 10, 100)  # per image and category
MATCH_SCORE = 0.5
MATCH_IOU = 0.5

IouTable = dict[tuple[int, int], NDArray[np.float64]]
"""(image number from 1, label) -> (D, G) overlaps; detections best score first, ground truth as annotated."""

Rows = NDArray[np.intp]


@dataclass(eq=False, slots=True)
class PackedRles:
    """N compressed masks of one image as one string of bytes: 4 bytes of overhead each instead of 300."""

    image_size: ImageSize
    counts: bytes
    ends: NDArray[np.uint32]  # (N,) where each mask's counts end

    @classmethod
    def pack(cls, rles: Sequence[Rle], image_size: ImageSize) -> PackedRles:
        counts = [rle["counts"] for rle in rles]
        ends = np.cumsum([len(one) for one in counts], dtype=np.uint32)
        return cls(image_size, b"".join(counts), ends)

    def select(self, rows: Rows) -> list[Rle]:
        starts = np.concatenate([[0], self.ends[:-1]])[rows] if len(rows) else rows
        size = list(self.image_size)
        spans = zip(starts.tolist(), self.ends[rows].tolist(), strict=True)
        return [{"size": size, "counts": self.counts[start:end]} for start, end in spans]


@dataclass(eq=False, slots=True)
class ImageRecord:
    """All that evaluation needs of one image: N ground-truth instances, D detections, original frame."""

    image_id: int
    truth_boxes_xywh: NDArray[np.float64]  # (N, 4)
    truth_labels: NDArray[np.int64]  # (N,)
    truth_areas: NDArray[np.float64]  # (N,) px², as annotated
    truth_iscrowd: NDArray[np.bool_]  # (N,)
    truth_rles: PackedRles
    boxes_xywh: NDArray[np.float64]  # (D, 4)
    labels: NDArray[np.int64]  # (D,)
    scores: NDArray[np.float64]  # (D,)
    rles: PackedRles

    @classmethod
    def build(cls, prediction: Prediction, truth: GroundTruth) -> ImageRecord:
        return cls(
            image_id=truth.image_id,
            truth_boxes_xywh=_to_xywh(truth.boxes),
            truth_labels=np.array(truth.labels, dtype=np.int64),
            truth_areas=np.array(truth.areas, dtype=np.float64),
            truth_iscrowd=np.array(truth.iscrowd, dtype=np.bool_),
            truth_rles=PackedRles.pack(truth.rles, truth.image_size),
            boxes_xywh=_to_xywh(prediction.boxes),
            labels=np.array(prediction.labels, dtype=np.int64),
            scores=np.array(prediction.scores, dtype=np.float64),
            rles=PackedRles.pack(prediction.rles, prediction.image_size),
        )


def _to_xywh(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def unique_images(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """One record of each image_id, the first, sorted by id as pycocotools does: ties in score between images then
    fall the same way whatever order the images came in."""
    by_id = {record.image_id: record for record in reversed(records)}
    return [by_id[image_id] for image_id in sorted(by_id)]


def _pairs(images: Sequence[ImageRecord]) -> Iterator[tuple[int, int, Rows, Rows]]:
    """(image number, label, detections best score first, ground truth) where a label has both."""
    for number, image in enumerate(images, start=1):
        for label in np.intersect1d(image.labels, image.truth_labels).tolist():
            detections = np.flatnonzero(image.labels == label)
            order = np.argsort(-image.scores[detections], kind="stable")[: MAX_DETECTIONS[-1]]
            yield number, label, detections[order], np.flatnonzero(image.truth_labels == label)


def box_ious(images: Sequence[ImageRecord]) -> IouTable:
    table: IouTable = {}
    for number, label, found, true in _pairs(images):
        image = images[number - 1]
        iscrowd = image.truth_iscrowd[true]
        table[number, label] = coco_mask.iou(image.boxes_xywh[found], image.truth_boxes_xywh[true], iscrowd)
    return table


def mask_ious(images: Sequence[ImageRecord]) -> IouTable:
    table: IouTable = {}
    for number, label, found, true in _pairs(images):
        image = images[number - 1]
        iscrowd = image.truth_iscrowd[true]
        table[number, label] = coco_mask.iou(image.rles.select(found), image.truth_rles.select(true), iscrowd)
    return table


def box_areas(images: Sequence[ImageRecord]) -> list[NDArray[np.float64]]:
    return [image.boxes_xywh[:, 2] * image.boxes_xywh[:, 3] for image in images]


def mask_areas(images: Sequence[ImageRecord]) -> list[NDArray[np.float64]]:
    every = [image.rles.select(np.arange(len(image.labels))) for image in images]
    return [np.asarray(coco_mask.area(rles), dtype=np.float64) for rles in every]


def precision_and_recall(
    images: Sequence[ImageRecord], ious: IouTable, areas: list[NDArray[np.float64]], categories: Categories
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """COCO's arrays, -1 where undefined; ``ious`` and ``areas`` (of the detections) decide for boxes or masks.

    Precision is (10 IoU thresholds, 101 recalls, category, AREAS, MAX_DETECTIONS), recall is without the 101.
    """
    if not images:
        shape = (len(categories), len(AREAS), len(MAX_DETECTIONS))
        return np.full((10, 101, *shape), -1.0), np.full((10, *shape), -1.0)
    truth = _coco(
        categories,
        category_id=[image.truth_labels for image in images],
        area=[image.truth_areas for image in images],
        iscrowd=[image.truth_iscrowd for image in images],
    )
    detections = _coco(
        categories,
        category_id=[image.labels for image in images],
        area=areas,
        score=[image.scores for image in images],
    )
    evaluation = COCOeval_faster(truth, detections, "bbox")
    # The overlaps are ours for boxes and masks alike, so the annotations carry neither; a release that stopped
    # asking for them would fail on the missing box instead of giving other numbers.
    evaluation.computeIoU = lambda image, label: ious.get((image, label), [])
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def _coco(categories: Categories, **columns: list[NDArray[Any]]) -> COCO:
    """A COCO index whose annotations have these keys; every column holds one array for each image."""
    labels = columns["category_id"]
    columns["image_id"] = [np.full(len(one), number) for number, one in enumerate(labels, start=1)]
    rows = zip(count(1), *(np.concatenate(column).tolist() for column in columns.values()), strict=False)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(1, len(labels) + 1)],
        "categories": categories.to_coco(),
        "annotations": [dict(zip(("id", *columns), row, strict=True)) for row in rows],  # id 0 would mean "unmatched"
    }
    coco.createIndex()
    return coco


def matched_ious(images: Sequence[ImageRecord], table: IouTable) -> list[float]:
    """Mask IoU of each matched instance: detections scored at least MATCH_SCORE, best first, take the free
    non-crowd instance of their category that they cover best, if the IoU reaches MATCH_IOU."""
    matched: list[float] = []
    for number, label, found, true in _pairs(images):
        image = images[number - 1]
        ious = table[number, label][image.scores[found] >= MATCH_SCORE][:, ~image.truth_iscrowd[true]]
        for row in ious if ious.shape[1] else ():
            best = int(row.argmax())
            if row[best] >= MATCH_IOU:
                matched.append(float(row[best]))
                ious[:, best] = -1  # taken; indexing by a mask made a copy
    return matched
