"""A network without regions: the category of every pixel, and of each category one instance, all of its pixels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_to_box
from instseg.core.types import Batch, Prediction


class ToySegmenter(nn.Module):
    """Four convolutions at a quarter of the resolution; targets are the boxes, filled."""

    prediction_options = ("score_threshold",)

    def __init__(self, categories: Categories, channels: int = 16, score_threshold: float = 0.5) -> None:
        super().__init__()
        self.categories, self.score_threshold = categories, score_threshold
        widths = [(3, 2), (channels, 2), (channels, 1), (channels, 1)]
        layers = [nn.Sequential(nn.Conv2d(w, channels, 3, stride, 1), nn.ReLU()) for w, stride in widths]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, categories.num_classes, 1))

    def logits(self, batch: Batch) -> Tensor:
        return self.layers(batch.images.float() / 255 - 0.5)  # (B, C, H / 4, W / 4)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return self._losses(self.logits(batch), batch)

    def predict(self, batch: Batch) -> list[Prediction]:
        return self._predictions(self.logits(batch), batch)

    def losses_and_predictions(self, batch: Batch) -> tuple[dict[str, Tensor], list[Prediction]]:
        logits = self.logits(batch)
        return self._losses(logits, batch), self._predictions(logits, batch)

    def _losses(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        wanted = torch.zeros(len(batch), *logits.shape[2:], dtype=torch.int64, device=logits.device)
        for image, target in zip(wanted, batch.targets, strict=True):
            for (x1, y1, x2, y2), label in zip((target.boxes / 4).round().int().tolist(), target.labels, strict=True):
                image[y1:y2, x1:x2] = label
        return {"loss_pixels": F.cross_entropy(logits, wanted), "loss_size": logits.square().mean() * 1e-4}

    def _predictions(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        results = []
        for row, size, truth in zip(logits, batch.image_sizes, batch.ground_truth, strict=True):
            inside = F.interpolate(row[None].softmax(1), scale_factor=4)[..., : size[0], : size[1]]
            probs = F.interpolate(inside, truth.image_size)[0].float().cpu().numpy()
            found = [(label, probs[label] > self.score_threshold) for label in range(1, len(probs))]
            found = [(label, mask) for label, mask in found if mask.any()]
            rles = [bitmask_to_rle(mask.astype(np.uint8)) for _, mask in found]
            boxes = np.array([rle_to_box(rle) for rle in rles], np.float32).reshape(-1, 4)
            scores = np.array([probs[label][mask].mean() for label, mask in found], np.float32)
            labels = np.array([label for label, _ in found], np.int64)
            order = np.argsort(-scores)
            results.append(
                Prediction(truth.image_id, truth.image_size, boxes[order], labels[order], scores[order],
                           [rles[i] for i in order])
            )  # fmt: skip
        return results
