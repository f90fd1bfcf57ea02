"""A metric: by how many instances the model is off on an image, on average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from instseg.core.categories import Categories
from instseg.core.types import GroundTruth, Prediction


class CountError(Metric):
    """Mean absolute difference between the numbers of predicted and labelled instances of an image.

    Args:
        categories: names of the labels 1..; every metric is given them.
        score_threshold: predictions below it are not counted.
    """

    def __init__(self, categories: Categories, score_threshold: float = 0.5) -> None:
        super().__init__()
        self.score_threshold = score_threshold
        self.add_state("error", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("num_images", torch.tensor(0), dist_reduce_fx="sum")
        self.error: Tensor
        self.num_images: Tensor

    def update(self, predictions: Sequence[Prediction], ground_truth: Sequence[GroundTruth]) -> None:
        """Add images: one prediction for each ground truth, same order."""
        for prediction, truth in zip(predictions, ground_truth, strict=True):
            self.error += abs(int((prediction.scores >= self.score_threshold).sum()) - len(truth))
            self.num_images += 1

    def compute(self) -> Tensor:
        """Return the mean over the images of all ranks."""
        return self.error / self.num_images
