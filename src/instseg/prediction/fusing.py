"""Fusion of what several views of an image show: of one object, box, score and mask become averages.

Boxes and scores as in weighted boxes fusion (Solovyev et al., 2021, https://arxiv.org/abs/1910.13302): an object that
few of the views show gets a low score. Masks by a vote for each pixel, weighted with the scores as the boxes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.box_masks import crop_to_rle
from instseg.core.masks import rle_to_crop
from instseg.core.types import Prediction, Rle

MIN_IOU = 0.5
"""Least IoU of masks of one category that are of one object."""


@dataclass(slots=True)
class _Object:
    """Detections of one object, each of another view; the best one, which came first, stands for it."""

    label: int
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    rles: list[Rle] = field(default_factory=list)
    views: set[int] = field(default_factory=set)

    def add(self, view: int, found: Prediction, row: int) -> None:
        self.boxes.append(found.boxes[row])
        self.scores.append(float(found.scores[row]))
        self.rles.append(found.rles[row])
        self.views.add(view)


def fused(views: Sequence[Prediction]) -> Prediction:
    """Join what was found in several views of an image, all in its own frame.

    Detections join the object that the best of them stands for, best first. Two of one view are never joined: what it
    tells apart stays apart.

    Args:
        views: of one image, one prediction each.

    Returns:
        The objects, best score first.
    """
    objects: list[_Object] = []
    every = [(view, row) for view, found in enumerate(views) for row in range(len(found))]
    for view, row in sorted(every, key=lambda each: -views[each[0]].scores[each[1]]):
        found = views[view]
        meant = _meant(objects, view, found, row)
        if meant is None:
            meant = _Object(int(found.labels[row]))
            objects.append(meant)
        meant.add(view, found, row)
    return _prediction(objects, views)


def _meant(objects: Sequence[_Object], view: int, found: Prediction, row: int) -> _Object | None:
    """Return the object that a detection is of, None where it is of none yet."""
    label, box = found.labels[row], found.boxes[row]
    near = [one for one in objects if one.label == label and view not in one.views and _meet(one.boxes[0], box)]
    if not near:
        return None
    ious = coco_mask.iou([found.rles[row]], [one.rles[0] for one in near], [0] * len(near))[0]
    return near[int(ious.argmax())] if ious.max() >= MIN_IOU else None


def _meet(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return bool(one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


def _prediction(objects: Sequence[_Object], views: Sequence[Prediction]) -> Prediction:
    ordered = sorted(objects, key=lambda one: -sum(one.scores))
    first = views[0]
    return Prediction(
        first.image_id,
        first.image_size,
        np.array([np.average(one.boxes, 0, one.scores) for one in ordered], np.float32).reshape(-1, 4),
        np.array([one.label for one in ordered], np.int64),
        np.array([sum(one.scores) / len(views) for one in ordered], np.float32),
        [average_mask(one.rles, one.scores) for one in ordered],
    )


def average_mask(rles: Sequence[Rle], weights: Sequence[float]) -> Rle:
    """Return the pixels that more than half of the weight is for.

    Args:
        rles: masks of one size.
        weights: one for each, above 0.
    """
    if len(rles) == 1:
        return rles[0]
    crops = [rle_to_crop(rle) for rle in rles]
    left, top = (min(corner[axis] for _, corner in crops) for axis in (0, 1))
    right = max(x + crop.shape[1] for crop, (x, _) in crops)
    bottom = max(y + crop.shape[0] for crop, (_, y) in crops)
    votes = np.zeros((bottom - top, right - left))
    for (crop, (x, y)), weight in zip(crops, weights, strict=True):
        votes[y - top : y - top + crop.shape[0], x - left : x - left + crop.shape[1]] += weight * crop
    height, width = rles[0]["size"]
    return crop_to_rle(votes > sum(weights) / 2, left, top, (height, width))
