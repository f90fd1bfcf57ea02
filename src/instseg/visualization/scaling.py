"""Scaling of images and masks to the size of a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.box_masks import crop_to_rle, visible_part
from instseg.core.masks import rle_to_crop
from instseg.core.types import Bitmask, Image, ImageSize, Prediction, Rle


def resized(image: Image, size: ImageSize) -> Image:
    """Scale an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: height and width that it shall have.
    """
    interpolation = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, size[::-1], interpolation=interpolation).astype(np.uint8, copy=False)


def cut_mask(rle: Rle, scale: float) -> tuple[Bitmask, tuple[int, int]]:
    """Cut a mask to its box and scale it, with smooth edges.

    Args:
        rle: of the image's size.
        scale: of the picture to the image.

    Returns:
        (h, w) part of the picture, and x, y of its corner.
    """
    mask, (x1, y1) = rle_to_crop(rle)
    if scale == 1.0 or mask.size == 0:
        return mask, (x1, y1)
    x2, y2 = x1 + mask.shape[1], y1 + mask.shape[0]
    left, top = int(x1 * scale), int(y1 * scale)
    size = max(1, round(x2 * scale) - left), max(1, round(y2 * scale) - top)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    smooth = cv2.resize(mask * np.uint8(255), size, interpolation=interpolation)
    return (smooth >= min(128, smooth.max())).astype(np.uint8), (left, top)  # what is thin stays


def stretch_mask(box_mask: Bitmask, box: NDArray[np.float64], size: ImageSize) -> tuple[Bitmask, tuple[int, int]]:
    """Stretch a mask in the frame of its box to pixels of the picture, cut at its edges.

    Args:
        box_mask: (M, M).
        box: (4,) xyxy in pixels of the picture.
        size: height and width of the picture.

    Returns:
        As ``cut_mask``.
    """
    x1, y1, x2, y2 = (round(v) for v in box)
    stretched = cv2.resize(box_mask * np.uint8(255), (max(1, x2 - x1), max(1, y2 - y1)), interpolation=cv2.INTER_LINEAR)
    crop, left, top = visible_part(stretched, x1, y1, size)
    return (crop >= 128).astype(np.uint8), (left, top)


def shrunk_prediction(prediction: Prediction, size: ImageSize) -> Prediction:
    """Return a prediction in the frame of a smaller picture of its image; masks and boxes are cut at its border.

    Args:
        prediction: in the frame of the image.
        size: height and width of the picture, of the image's shape.
    """
    scale = max(size) / max(prediction.image_size)
    limit = np.array([size[1], size[0]] * 2, np.float32)
    rles = []
    for rle in prediction.rles:
        mask, (left, top) = cut_mask(rle, scale)
        seen = mask[: max(0, size[0] - top), : max(0, size[1] - left)]
        rles.append(crop_to_rle(seen.astype(np.bool_), left, top, size))
    boxes = np.minimum(prediction.boxes * np.float32(scale), limit)
    return Prediction(prediction.image_id, size, boxes, prediction.labels, prediction.scores, rles)
