"""Regions in which nothing is learnt, such as crowds: what lies in them is no background."""

from __future__ import annotations

import torch
from torch import Tensor

BACKGROUND, LEFT_OUT = 0, -1
"""Labels of anchors and proposals, as torchvision's matching gives them."""
MIN_COVERED = 0.5
"""Fraction of a box within ignored regions from which it lies in them."""


def without_ignored(labels: list[Tensor], boxes: list[Tensor], targets: list[dict[str, Tensor]]) -> list[Tensor]:
    """Leave out of the background what lies in ignored regions.

    Args:
        labels: per image (A,) of anchors or proposals: 1 or more is positive, 0 background, -1 left out.
        boxes: per image (A, 4) xyxy px in the network frame.
        targets: per image, with ignored_boxes (K, 4) and ignored_masks uint8 (K, M, M) where it has such regions.

    Returns:
        Per image (A,), the same tensor where it has none.
    """
    return [
        _without_ignored(of_image, boxes[image], targets[image]) if "ignored_boxes" in targets[image] else of_image
        for image, of_image in enumerate(labels)
    ]


def _without_ignored(labels: Tensor, boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
    covered = covered_fraction(boxes, target["ignored_boxes"], target["ignored_masks"])
    is_left_out = (labels == BACKGROUND) & (covered >= MIN_COVERED)
    return torch.where(is_left_out, torch.full_like(labels, LEFT_OUT), labels)


def covered_fraction(boxes: Tensor, region_boxes: Tensor, region_masks: Tensor) -> Tensor:
    """Return the fraction of each box that the region covers which covers most of it.

    Exact for masks as they are, of (M, M) cells: their pixels are summed up once from the upper left corner, and what
    lies in a box is the difference of that sum at its four corners.

    Args:
        boxes: (A, 4) xyxy px.
        region_boxes: (K, 4) xyxy px, K >= 1.
        region_masks: uint8 (K, M, M), 0 or 1, each in the frame of its box.

    Returns:
        float32 (A,) 0..1; 0 for a box without area.
    """
    sums = torch.nn.functional.pad(region_masks.float().cumsum(1).cumsum(2), (1, 0, 1, 0))  # (K, M + 1, M + 1)
    cells, covered = region_masks.shape[-1], boxes.new_zeros(len(boxes), dtype=torch.float32)
    areas = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).float()
    for region, summed in zip(region_boxes.float(), sums, strict=True):
        sides = region[2:] - region[:2]
        corners = ((boxes.float().view(-1, 2, 2) - region[:2]) / sides * cells).clamp(0, cells)  # (A, 2, 2) in cells
        (x1, y1), (x2, y2) = corners[:, 0].unbind(1), corners[:, 1].unbind(1)
        within = _at(summed, x2, y2) - _at(summed, x1, y2) - _at(summed, x2, y1) + _at(summed, x1, y1)
        covered = torch.maximum(covered, within * sides.prod() / cells**2)
    return torch.where(areas > 0, covered / areas.clamp(min=1e-6), covered.new_zeros(()))


def _at(sums: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the sum of a mask up to points (A,) in its cells, which is linear between the corners of a cell."""
    last = len(sums) - 2
    column, row = x.floor().clamp(max=last), y.floor().clamp(max=last)
    right, below = x - column, y - row
    i, j = row.long(), column.long()
    above = sums[i, j] * (1 - right) + sums[i, j + 1] * right
    under = sums[i + 1, j] * (1 - right) + sums[i + 1, j + 1] * right
    summed: Tensor = above * (1 - below) + under * below
    return summed
