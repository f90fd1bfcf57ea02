"""Instances without a mask: they teach boxes and categories as any other, and the mask head nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from instseg.core.categories import Categories
from instseg.core.types import Batch, GroundTruth, Target
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn

BOXES = torch.tensor([[8.0, 8, 48, 48], [60, 20, 120, 100]])
MASKS = torch.zeros(2, 112, 112, dtype=torch.uint8)
MASKS[:, 20:90, 30:80] = 1


@pytest.fixture(scope="module")
def network() -> MaskRCNN:
    torch.manual_seed(0)
    options = {"backbone": "resnet18_half", "weights": "none", "norm": "gn", "fpn_channels": 32,
               "box": {"head_channels": 32}, "mask": {"channels": 32, "num_convs": 1}}  # fmt: skip
    return build_mask_rcnn(Categories(("car", "dog")), **options).train()


def learnt(network: MaskRCNN, *has_masks: list[bool] | None, masks: Tensor = MASKS) -> dict[str, Tensor]:
    """Losses and gradients of a step on the same image, once for each of the flags of its two instances."""
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3, 128, 128), np.uint8)
    images = torch.from_numpy(pixels).expand(len(has_masks), -1, -1, -1)
    flags = [None if has_mask is None else torch.tensor(has_mask) for has_mask in has_masks]
    targets = [Target(BOXES, torch.tensor([1, 2]), masks, None, flag) for flag in flags]
    nothing = np.zeros(0)
    truth = GroundTruth(1, (128, 128), np.zeros((0, 4)), nothing.astype(int), nothing, nothing.astype(bool), [])
    torch.manual_seed(1)  # of the samples
    network.zero_grad(set_to_none=True)
    losses = network.losses(Batch(images, [(128, 128)] * len(flags), targets, [truth] * len(flags)))
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    of_masks = {name: p.grad for name, p in network.roi_heads.named_parameters() if "mask" in name}
    return {**{name: loss.detach() for name, loss in losses.items()}, **of_masks}


def test_a_step_without_any_mask_moves_the_mask_head_not_at_all_and_is_the_same_for_boxes_and_categories(network):
    with_masks, without = learnt(network, None), learnt(network, [False, False])
    assert without["loss_mask"] == 0 and with_masks["loss_mask"] > 0
    for name, value in with_masks.items():
        if name.startswith("loss") and name != "loss_mask":
            assert torch.equal(without[name], value), name
        elif not name.startswith("loss"):
            assert without[name] is not None and not without[name].any(), name


def test_the_mask_loss_is_the_mean_over_the_rois_of_instances_with_masks(network):
    half = learnt(network, [True, False])
    other = MASKS.clone()
    other[1] = 1 - other[1]
    assert learnt(network, [True, False], masks=other)["loss_mask"] == half["loss_mask"]
    one, two = learnt(network, [True, False])["loss_mask"], learnt(network, [False, True])["loss_mask"]
    both = learnt(network, [True, True])["loss_mask"]
    assert min(one, two) < both < max(one, two)


def test_flags_that_are_all_true_change_no_bit(network):
    plain, flagged = learnt(network, None), learnt(network, [True, True])
    assert all(torch.equal(value, flagged[name]) for name, value in plain.items())


def test_an_image_without_masks_leaves_the_masks_of_another_as_they_are(network):
    mixed = learnt(network, None, [False, False])
    assert mixed["loss_mask"] > 0 and torch.isfinite(mixed["loss_mask"])
