"""Layers of the heads that compute what torchvision's do in a quicker way."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

from instseg.models.heads import MaskPredictor


@pytest.mark.parametrize("labels", [[2, 0, 1, 2], [1], []], ids=["several", "one", "no RoI"])
def test_a_mask_of_the_own_category_is_the_one_that_torchvision_makes_among_all(labels: list[int]) -> None:
    torch.manual_seed(0)
    ours, reference = MaskPredictor(6, 5, 3).double(), MaskRCNNPredictor(6, 5, 3).double()
    reference.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(len(labels), 6, 3, 4).double()  # not a square: rows and columns cannot be taken for each other
    upstream = torch.randn(len(labels), 6, 8).double()
    found = ours(x, torch.tensor(labels, dtype=torch.int64))
    expected = reference(x)[torch.arange(len(labels)), labels]
    torch.testing.assert_close(found, expected)
    found.backward(upstream)
    expected.backward(upstream)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, reference.get_parameter(name).grad, msg=name)
