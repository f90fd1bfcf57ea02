"""A network that finds exactly what is labelled, and an image for it."""

import numpy as np
import torch
from torch import nn

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import Batch, GroundTruth, Prediction, Target

CATEGORIES = Categories(("car", "person"))
LOSS_NAMES = ("loss_shape", "loss_label")


class PerfectNetwork(nn.Module):
    """Finds exactly what the ground truth holds; its losses are its one weight times 1 and 2."""

    categories = CATEGORIES

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start))

    def losses(self, batch):
        return {name: self.weight * factor for factor, name in enumerate(LOSS_NAMES, start=1)}

    def predict(self, batch):
        return [
            Prediction(t.image_id, t.image_size, t.boxes.astype(np.float32), t.labels, np.ones(len(t)), t.rles)
            for t in batch.ground_truth
        ]

    def losses_and_predictions(self, batch):
        return self.losses(batch), self.predict(batch)


def batch(image_id: int = 7) -> Batch:
    """A 32x64 image with one car that fills its left half."""
    bitmask = np.zeros((32, 64), np.uint8)
    bitmask[:, :32] = 1
    box = [[0.0, 0.0, 32.0, 32.0]]
    truth = GroundTruth(
        image_id,
        (32, 64),
        np.array(box),
        np.array([1]),
        np.array([1024.0]),
        np.array([False]),
        [bitmask_to_rle(bitmask)],
    )
    target = Target(torch.tensor(box), torch.tensor([1]), torch.ones(1, 112, 112, dtype=torch.uint8))
    return Batch(torch.zeros(1, 3, 32, 64, dtype=torch.uint8), [(32, 64)], [target], [truth])
