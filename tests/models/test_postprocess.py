"""Detections in the network frame -> predictions in the pixels of the photo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from instseg.core.masks import rle_to_bitmask
from instseg.core.types import Detections
from instseg.models.postprocess import detections_to_predictions


def detections(boxes: list[list[float]], mask_probs: Tensor | None = None) -> Detections:
    n = len(boxes)
    probs = torch.ones(n, 28, 28) if mask_probs is None else mask_probs
    return Detections(
        torch.tensor(boxes).reshape(-1, 4), torch.arange(1, n + 1), torch.linspace(0.9, 0.5, n), probs.view(n, 28, 28)
    )


def smooth_masks(count: int) -> Tensor:
    """Blobs as a mask head makes them: smooth, with a clear inside."""
    noise = torch.randn(count, 1, 5, 5, generator=torch.Generator().manual_seed(0)) * 3
    return torch.nn.functional.interpolate(noise, (28, 28), mode="bicubic")[:, 0].sigmoid()


def test_boxes_are_scaled_along_each_axis_and_clipped_to_the_photo() -> None:
    found = [detections([[10, 20, 50, 60], [60, 80, 100, 110]])]
    (prediction,) = detections_to_predictions(found, [(100, 100)], [7], [(200, 50)])
    assert prediction.boxes.tolist() == [[5, 40, 25, 120], [30, 160, 50, 200]]
    assert (prediction.image_id, prediction.image_size) == (7, (200, 50))
    assert prediction.labels.tolist() == [1, 2] and prediction.labels.dtype == np.int64


def test_each_image_of_a_batch_keeps_its_own_detections_and_an_empty_one_its_form() -> None:
    found = [detections([[0, 0, 8, 8]]), detections([]), detections([[0, 0, 4, 4], [4, 4, 8, 8]])]
    predictions = detections_to_predictions(found, [(8, 8)] * 3, [1, 2, 3], [(16, 16)] * 3)
    assert [len(p) for p in predictions] == [1, 0, 2]
    assert [len(p.rles) for p in predictions] == [1, 0, 2]
    assert predictions[1].boxes.shape == (0, 4) and predictions[1].scores.dtype == np.float32


def test_a_batch_without_images_gives_no_predictions() -> None:
    assert detections_to_predictions([], [], [], []) == []


def test_masks_are_those_that_torchvision_pastes() -> None:
    network, photo, count = (240, 320), (361, 517), 12
    generator = torch.Generator().manual_seed(1)
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([320.0, 240.0])
    half = 4 + torch.rand(count, 2, generator=generator) * 70
    limit = torch.tensor([320.0, 240.0, 320.0, 240.0])
    boxes = torch.cat([centre - half, centre + half], 1).clamp(min=0).minimum(limit)
    probs = smooth_masks(count)
    found = [Detections(boxes, torch.ones(count, dtype=torch.int64), torch.ones(count), probs)]
    (prediction,) = detections_to_predictions(found, [network], [1], [photo])
    scale = torch.tensor([photo[1] / network[1], photo[0] / network[0]] * 2)
    expected = paste_masks_in_image(probs[:, None], boxes * scale, photo)[:, 0].numpy()
    got = np.stack([rle_to_bitmask(rle) for rle in prediction.rles]).astype(bool)
    assert got.any(axis=(1, 2)).all()
    assert (got != (expected > 0.5)).mean() <= 1e-3
    sure = np.abs(expected - 0.5) > 0.01
    assert np.array_equal(got[sure], (expected > 0.5)[sure])
