"""Predictions on mirrored images, in the frame of the images themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instseg.core.box_masks import crop_to_rle
from instseg.core.masks import rle_to_crop
from instseg.core.types import Prediction, Rle


def mirrored_back(prediction: Prediction) -> Prediction:
    """Return what was found on a mirrored image in the frame of the image itself."""
    width = prediction.image_size[1]
    boxes = prediction.boxes.copy()
    boxes[:, [0, 2]] = width - prediction.boxes[:, [2, 0]]
    return replace(prediction, boxes=boxes, rles=[mirrored_rle(rle) for rle in prediction.rles])


def mirrored_rle(rle: Rle) -> Rle:
    """Return a mask mirrored from left to right."""
    crop, (left, top) = rle_to_crop(rle)
    height, width = rle["size"]
    return crop_to_rle(crop[:, ::-1].astype(np.bool_), width - left - crop.shape[1], top, (height, width))
