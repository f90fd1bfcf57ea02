"""From the network frame to the photo: boxes scaled and clipped, masks as RLE, one mask at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from instseg.core.box_masks import mask_probs_to_rle
from instseg.core.types import Detections, ImageSize, Prediction


def detections_to_predictions(
    detections: Sequence[Detections],
    image_sizes: Sequence[ImageSize],
    image_ids: Sequence[int],
    original_sizes: Sequence[ImageSize],
    mask_threshold: float = 0.5,
) -> list[Prediction]:
    """Detections of a batch -> predictions in the original frame, on the CPU.

    image_sizes: of the images in the network frame, without padding; original_sizes: of the photos. The batch crosses
    from the device in two copies; no mask of a photo's size is held for more than the one instance being encoded.
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
        _prediction(columns_i, probs_i, size, image_id, original, mask_threshold)
        for (columns_i, probs_i), (size, image_id, original) in zip(parts, frames, strict=True)
    ]


def _prediction(
    columns: np.ndarray, mask_probs: np.ndarray, size: ImageSize, image_id: int, original: ImageSize, threshold: float
) -> Prediction:
    """columns: (N, 6) x1, y1, x2, y2, score, label."""
    (height, width), (original_height, original_width) = size, original
    scale = np.array([original_width / width, original_height / height] * 2, np.float32)
    limit = np.array([original_width, original_height] * 2, np.float32)
    boxes = np.clip(columns[:, :4] * scale, 0, limit)
    rles = [mask_probs_to_rle(probs, box, original, threshold) for probs, box in zip(mask_probs, boxes, strict=True)]
    return Prediction(image_id, original, boxes, columns[:, 5].astype(np.int64), columns[:, 4].copy(), rles)
