"""The boxes that are kept are those of torchvision's batched_nms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from instseg.models.nms import nms_by_group, nms_by_image, nms_in_groups


def random_boxes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that overlap often, scores of which many are equal, and three groups."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 20], 1)
    scores = torch.rand(count, generator=generator)
    return boxes, scores, torch.randint(0, 3, (count,), generator=generator) * 2


def test_a_better_box_suppresses_those_of_its_own_group_alone() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 8.0]])
    scores, groups = torch.tensor([0.2, 0.9, 0.5]), torch.tensor([1, 1, 4])
    assert nms_in_groups([box], [scores], [groups], 0.5)[0].tolist() == [1, 2]


@pytest.mark.parametrize("suppress", [nms_by_group, nms_by_image])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_every_image_keeps_what_torchvision_keeps_best_first(threshold: float, suppress) -> None:
    images = [random_boxes(count, seed) for seed, count in enumerate([300, 0, 1, 2000])]
    boxes, scores, groups = (list(field) for field in zip(*images, strict=True))
    kept = suppress(boxes, scores, groups, threshold)
    for own, (box, score, group) in zip(kept, images, strict=True):
        assert own.tolist() == batched_nms(box, score, group, threshold).tolist()
