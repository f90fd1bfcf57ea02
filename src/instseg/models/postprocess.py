"""Detections in the network frame as predictions in the original frame: boxes scaled and clipped, masks as RLE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from instseg.core.found import Found, found_to_prediction
from instseg.core.types import Detections, ImageSize, Prediction


def detections_to_predictions(
    detections: Sequence[Detections],
    image_sizes: Sequence[ImageSize],
    image_ids: Sequence[int],
    original_sizes: Sequence[ImageSize],
    mask_threshold: float = 0.5,
) -> list[Prediction]:
    """Convert the detections of a batch to predictions in the original frame, on the CPU.

    The batch is copied from the device in two transfers. Only one mask of the original size exists at a time.

    Args:
        detections: one for each image, in the network frame.
        image_sizes: (height, width) px in the network frame, without the padding.
        image_ids: of the images.
        original_sizes: (height, width) px in the original frame.
        mask_threshold: probability from which a pixel belongs to the mask.
    """
    if not detections:
        return []
    table = torch.cat([torch.cat([d.boxes, d.scores[:, None], d.labels[:, None]], 1).float() for d in detections])
    columns = table.cpu().numpy()
    mask_probs = torch.cat([d.mask_probs for d in detections]).float().cpu().numpy()
    ends = np.cumsum([len(d.labels) for d in detections])[:-1]
    parts = zip(np.split(columns, ends), np.split(mask_probs, ends), strict=True)
    frames = zip(image_sizes, image_ids, original_sizes, strict=True)
    return [
        found_to_prediction(_found(*part), *frame, mask_threshold) for part, frame in zip(parts, frames, strict=True)
    ]


def _found(columns: NDArray[np.float32], mask_probs: NDArray[np.float32]) -> Found:
    """Return what was found on an image from columns (N, 6): x1, y1, x2, y2, score, label."""
    return Found(columns[:, :4], columns[:, 5].astype(np.int64), columns[:, 4].copy(), mask_probs)
