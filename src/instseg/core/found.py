"""Instances as a network finds them on one image, in the network frame, and their way to the original frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.box_masks import mask_probs_to_rle
from instseg.core.types import ImageSize, Prediction


@dataclass(frozen=True, slots=True)
class Found:
    """N instances in the network frame, best score first."""

    boxes: NDArray[np.float32]  # (N, 4) xyxy px
    labels: NDArray[np.int64]  # (N,)
    scores: NDArray[np.float32]  # (N,)
    mask_probs: NDArray[np.float32]  # (N, m, m), each in the frame of its box, 0..1


def found_to_prediction(
    found: Found, image_size: ImageSize, image_id: int, original_size: ImageSize, mask_threshold: float = 0.5
) -> Prediction:
    """Scale boxes to the original frame, cut them at its border and draw the masks there, one at a time.

    Args:
        found: in the network frame.
        image_size: (height, width) px in the network frame, without padding.
        image_id: of the image.
        original_size: (height, width) px in the original frame.
        mask_threshold: probability from which a pixel belongs to the mask.
    """
    (height, width), (original_height, original_width) = image_size, original_size
    scale = np.array([original_width / width, original_height / height] * 2, np.float32)
    limit = np.array([original_width, original_height] * 2, np.float32)
    boxes = np.clip(found.boxes * scale, 0, limit)
    drawn = zip(found.mask_probs, boxes, strict=True)
    rles = [mask_probs_to_rle(probs, box, original_size, mask_threshold) for probs, box in drawn]
    return Prediction(image_id, original_size, boxes, found.labels, found.scores, rles)
