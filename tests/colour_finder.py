"""A network that finds exactly the red and the blue pixels, and photos for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.types import Batch, Detections, Prediction
from instseg.models.postprocess import detections_to_predictions

CATEGORIES = Categories(("red thing", "blue thing"))
RED, BLUE = (255, 0, 0), (0, 0, 255)


class FindsColours(nn.Module):
    """Reports the box around all red pixels (label 1, score 0.9) and all blue ones (label 2, score 0.6)."""

    categories = CATEGORIES

    def __init__(self) -> None:
        super().__init__()
        self.seen_shapes: list[tuple[int, ...]] = []

    def predict(self, batch: Batch) -> list[Prediction]:
        assert batch.images.dtype == torch.uint8 and not self.training and torch.is_inference_mode_enabled()
        self.seen_shapes.append(tuple(batch.images.shape))
        found = [self.find(image[:, :h, :w]) for image, (h, w) in zip(batch.images, batch.image_sizes, strict=True)]
        return detections_to_predictions(found, batch.image_sizes, batch.image_ids, batch.original_sizes)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        raise AssertionError("nothing is trained here")

    def losses_and_predictions(self, batch: Batch) -> tuple[dict[str, Tensor], list[Prediction]]:
        return {}, self.predict(batch)

    def find(self, image: Tensor) -> Detections:
        found = []
        for label, score, channel in ((1, 0.9, 0), (2, 0.6, 2)):
            others = [c for c in range(3) if c != channel]
            y, x = torch.where((image[channel] > 128) & (image[others] < 128).all(0))
            if len(y):
                box = [float(v) for v in (x.min(), y.min(), x.max() + 1, y.max() + 1)]
                found.append((box, label, score))
        boxes = torch.tensor([box for box, _, _ in found]).reshape(-1, 4)
        labels = torch.tensor([label for _, label, _ in found], dtype=torch.int64)
        return Detections(boxes, labels, torch.tensor([s for *_, s in found]), torch.ones(len(found), 28, 28))


def photo(height: int, width: int, **rectangles: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 200, np.uint8)
    for name, (x1, y1, x2, y2) in rectangles.items():
        picture[y1:y2, x1:x2] = {"red": RED, "blue": BLUE}[name]
    return picture


def write_photos(folder: Path) -> Path:
    """Four photos: with a red thing, with nothing, with both, and in a folder of its own with a blue one."""
    for name, rectangles in {
        "1.png": {"red": (16, 32, 64, 96)},
        "2.PNG": {},
        "10.png": {"red": (0, 0, 32, 32), "blue": (64, 64, 128, 128)},
        "more/1.png": {"blue": (32, 32, 96, 96)},
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(photo(192, 256, **rectangles)).save(path)
    return folder
