"""Two looks at each image, as it is and mirrored, for the predictions to be compared; and what the image looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from instseg.checkpoints.operating_points import recalibrated_by
from instseg.core.errors import InstsegError
from instseg.core.segmenter import DescribesImages
from instseg.core.types import Batch, Image, Prediction
from instseg.prediction.mirrored import mirrored_back
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork

COLOURS_SIDE = 8
"""Side of the thumbnails, px, whose colours describe an image where the network has no features."""


@dataclass(frozen=True, slots=True)
class TwoLooks:
    """Predictions on an image in the frame of the network."""

    found: Prediction
    mirrored: Prediction
    """On the mirrored image, and mirrored back."""
    features: NDArray[np.float32]
    """(D,) near those of images that look alike."""


@torch.inference_mode()
def look_twice(predictor: Predictor, images: Sequence[Image], image_ids: Sequence[int]) -> list[TwoLooks]:
    """Predict on images and on the mirrored images.

    Args:
        predictor: the loaded model.
        images: (H, W, 3) uint8 RGB, of any sizes.
        image_ids: those of the predictions.

    Raises:
        InstsegError: the memory of the device does not hold the batch.
    """
    small = [predictor.resize(image) for image in images]
    network = _in_torch(predictor)
    batch = network.batch(small, image_ids, [image.shape[:2] for image in small])
    with network.at_work(batch):
        found, features = _found_and_features(network, batch, small)
        mirrored = network.model.predict(mirrored_batch(batch))
    found, mirrored = (recalibrated_by(predictor.operating_points, one) for one in (found, mirrored))
    looks = zip(found, map(mirrored_back, mirrored), features, strict=True)
    return [TwoLooks(*look) for look in looks]


def has_features(predictor: Predictor) -> bool:
    """Tell whether the network describes images; otherwise their colours do.

    Raises:
        InstsegError: it is an exported one, whose features are not at hand.
    """
    return isinstance(_in_torch(predictor).model, DescribesImages)


def _in_torch(predictor: Predictor) -> TorchNetwork:
    if not isinstance(predictor.network, TorchNetwork):
        raise InstsegError(
            "checkpoint: expected a checkpoint, whose network says which images are alike, found an exported model"
        )
    return predictor.network


def _found_and_features(
    network: TorchNetwork, batch: Batch, images: Sequence[Image]
) -> tuple[list[Prediction], NDArray[np.float32]]:
    if isinstance(network.model, DescribesImages):
        found, features = network.model.predictions_and_features(batch)
        return found, features.float().cpu().numpy()
    size = (COLOURS_SIDE, COLOURS_SIDE)
    colours = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(-1) for image in images]
    return network.model.predict(batch), np.stack(colours).astype(np.float32)


def mirrored_batch(batch: Batch) -> Batch:
    """Return the images of a batch left to right, each within its own size; the padding stays at the right."""
    images = batch.images.clone()
    for image, (height, width) in zip(images, batch.image_sizes, strict=True):
        image[:, :height, :width] = image[:, :height, :width].flip(-1)
    return replace(batch, images=images)
