"""Targets of the mask head, sampled from box masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align


def sample_mask_targets(box_masks: Tensor, boxes: Tensor, rois: Tensor, size: int) -> Tensor:
    """Return the targets of the mask head for RoIs that each match an instance.

    torchvision crops pixel masks with ``aligned=False``, where the value at x is that of the point x + 0.5. The same
    shift is made here, so that weights trained either way fit. Outside its box an instance is 0.

    Args:
        box_masks: (R, M, M) of the matched instances, 0 or 1.
        boxes: (R, 4) of the matched instances, xyxy px in the network frame.
        rois: (R, 4) xyxy px in the network frame.
        size: side of the masks that the head predicts.

    Returns:
        (R, size, size) float, 0..1.
    """
    side, boxes = box_masks.shape[-1], boxes.to(rois)
    padded = F.pad(box_masks[:, None].to(rois), (1, 1, 1, 1))  # roi_align repeats the border cell: make it zero
    origin, extent = boxes[:, :2].repeat(1, 2), (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).repeat(1, 2)
    in_box = (rois + 0.5 - origin) * (side / extent) + 1
    index = torch.arange(len(rois), device=rois.device, dtype=rois.dtype)[:, None]
    ratio = -(-side // size)  # samples per bin and axis that miss no cell of a box mask
    sampled: Tensor = roi_align(padded, torch.cat([index, in_box], 1), (size, size), 1.0, ratio, aligned=True)
    return sampled[:, 0]
