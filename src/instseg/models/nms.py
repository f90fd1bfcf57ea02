"""Non-maximum suppression within groups, such as the levels of a pyramid; on a CPU all groups run in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torchvision.ops import nms


def nms_in_groups(
    boxes: Sequence[Tensor], scores: Sequence[Tensor], groups: Sequence[Tensor], iou_threshold: float
) -> list[Tensor]:
    """Suppress boxes as torchvision's ``batched_nms`` does, for all images of a batch.

    The CPU kernel runs on one thread, so there each group is one call; elsewhere each image is.

    Args:
        boxes: per image (N_i, 4) xyxy.
        scores: per image (N_i,).
        groups: per image int64 (N_i,); a box suppresses no box of another group.
        iou_threshold: a box is suppressed by a better one with a higher IoU.

    Returns:
        Per image the int64 rows that are kept, by descending score.
    """
    of_device = nms_by_group if boxes[0].device.type == "cpu" else nms_by_image
    return of_device(boxes, scores, groups, iou_threshold)


def nms_by_image(
    boxes: Sequence[Tensor], scores: Sequence[Tensor], groups: Sequence[Tensor], iou_threshold: float
) -> list[Tensor]:
    """Run ``nms_in_groups`` with one call for each image.

    Args:
        boxes: per image (N_i, 4) xyxy.
        scores: per image (N_i,).
        groups: per image int64 (N_i,).
        iou_threshold: as in ``nms_in_groups``.
    """
    every = zip(boxes, scores, groups, strict=True)
    return [nms(_moved_apart(own, group), score, iou_threshold) for own, score, group in every]


def nms_by_group(
    boxes: Sequence[Tensor], scores: Sequence[Tensor], groups: Sequence[Tensor], iou_threshold: float
) -> list[Tensor]:
    """Run ``nms_in_groups`` with one call for each group of each image, in threads.

    Args:
        boxes: per image (N_i, 4) xyxy.
        scores: per image (N_i,).
        groups: per image int64 (N_i,).
        iou_threshold: as in ``nms_in_groups``.
    """
    members = [(image, rows) for image, group in enumerate(groups) for rows in _members(group)]

    def suppress(member: tuple[int, Tensor]) -> Tensor:
        image, rows = member
        return rows[nms(boxes[image][rows], scores[image][rows], iou_threshold)]

    # The kernel releases the GIL.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        kept = list(threads.map(suppress, members))
    return [
        _best_first([rows for (image, _), rows in zip(members, kept, strict=True) if image == number], score)
        for number, score in enumerate(scores)
    ]


def _moved_apart(boxes: Tensor, groups: Tensor) -> Tensor:
    """Shift the boxes so that no two groups overlap, as ``batched_nms`` does, without its wait for the device."""
    if not len(boxes):
        return boxes
    return boxes + (groups.to(boxes.dtype) * (boxes.max() + 1))[:, None]


def _members(group: Tensor) -> list[Tensor]:
    """Return the rows of each group."""
    return [torch.where(group == value)[0] for value in torch.unique(group)]


def _best_first(kept: list[Tensor], scores: Tensor) -> Tensor:
    rows = torch.cat(kept).sort().values if kept else torch.zeros(0, dtype=torch.int64)
    return rows[scores[rows].argsort(descending=True)]
