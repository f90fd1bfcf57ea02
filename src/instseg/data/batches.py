"""Images of several sizes in one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from instseg.core.types import BOX_MASK_SIZE, SIZE_DIVISOR, Batch, GroundTruth, Image, ImageSize, Target


def pad_images(images: Sequence[Image]) -> tuple[Tensor, list[ImageSize]]:
    """Pad with zeros at the right and bottom to a common size that the strides of a pyramid divide.

    Args:
        images: uint8 (H_i, W_i, 3) RGB, in any memory layout.

    Returns:
        uint8 (B, 3, H, W), channels_last, H and W multiples of ``SIZE_DIVISOR``; and the sizes without the padding.
    """
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    height, width = (-(-max(side) // SIZE_DIVISOR) * SIZE_DIVISOR for side in zip(*sizes, strict=True))
    batch = np.zeros((len(images), height, width, 3), np.uint8)
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    return torch.from_numpy(batch).permute(0, 3, 1, 2), sizes


def unlabelled_batch(images: Sequence[Image], image_ids: Sequence[int], original_sizes: Sequence[ImageSize]) -> Batch:
    """Return a batch to predict on, whose targets and ground truth are empty.

    Args:
        images: uint8 (H_i, W_i, 3) RGB, in the network frame.
        image_ids: one for each image; they become those of the predictions.
        original_sizes: (height, width) px of each image before the resize.
    """
    pixels, sizes = pad_images(images)
    truths = [_no_truth(image_id, size) for image_id, size in zip(image_ids, original_sizes, strict=True)]
    return Batch(pixels, sizes, [_no_target() for _ in images], truths)


def _no_target() -> Target:
    masks = torch.zeros(0, BOX_MASK_SIZE, BOX_MASK_SIZE, dtype=torch.uint8)
    return Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), masks)


def _no_truth(image_id: int, size: ImageSize) -> GroundTruth:
    nothing = np.zeros(0)
    return GroundTruth(
        image_id, size, np.zeros((0, 4)), nothing.astype(np.int64), nothing, nothing.astype(np.bool_), []
    )
