"""Draws and matches are those of torchvision, for the same random numbers."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher
from torchvision.ops import box_iou

from instseg.models import sampling
from instseg.models.sampling import BalancedSampler, Matcher, offset_indices

IMAGES = [
    torch.tensor([1, 0, -1, 0, 2, 0, 3, 1, 0]),
    torch.tensor([0, 0, 0]),
    torch.tensor([-1, -1]),
    torch.tensor([1, 1, 1, 1, 1]),
]


@pytest.mark.parametrize("batch_size", [2, 4, 100])
def test_the_same_rows_are_drawn_as_by_torchvision(batch_size: int) -> None:
    torch.manual_seed(0)
    expected = BalancedPositiveNegativeSampler(batch_size, 0.5)(IMAGES)
    torch.manual_seed(0)
    drawn = BalancedSampler(batch_size, 0.5)(IMAGES)
    for own, masks in zip(drawn, expected, strict=True):
        assert [rows.tolist() for rows in own] == [torch.where(mask)[0].tolist() for mask in masks]


def test_a_repeatable_draw_is_the_same_again_and_leaves_the_random_state_alone() -> None:
    sampler = BalancedSampler(2, 0.5)
    sampler.repeatable = True
    state = torch.get_rng_state()
    first, second = sampler(IMAGES), sampler(IMAGES)
    assert torch.equal(torch.get_rng_state(), state)
    assert str(first) == str(second)


def test_every_instance_gets_its_best_anchors_ties_included() -> None:
    quality = torch.tensor([[0.1, 0.2, 0.2, 0.0, 0.5], [0.75, 0.1, 0.1, 0.3, 0.0], [0.0, 0.15, 0.0, 0.0, 0.6]])
    expected = TorchvisionMatcher(0.7, 0.3, allow_low_quality_matches=True)(quality)
    assert Matcher(0.7, 0.3, allow_low_quality_matches=True)(quality).tolist() == expected.tolist()
    assert expected[4] == 2  # too little for a match, but nothing fits the last instance better


def test_rows_of_images_become_rows_of_all_of_them() -> None:
    rows = offset_indices([torch.tensor([0, 2]), torch.tensor([], dtype=torch.int64), torch.tensor([1])], [3, 4, 2])
    assert rows.tolist() == [0, 2, 8]


def test_matches_in_parts_are_those_of_all_pairs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    corners = torch.randint(0, 90, (400, 2)).float()
    anchors = torch.cat([corners, corners + torch.randint(4, 30, (400, 2))], dim=1)
    boxes = torch.cat([anchors[:20] + 1, anchors[30:35]])
    matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
    expected = TorchvisionMatcher(0.7, 0.3, allow_low_quality_matches=True)(box_iou(boxes, anchors))
    monkeypatch.setattr(sampling, "MAX_PAIRS", 1000)
    monkeypatch.setattr(sampling, "PART", 7)
    assert torch.equal(matcher.match(boxes, anchors), expected)
    assert {-2, -1} < set(expected.tolist())
