"""The losses of Mask R-CNN against torchvision's; whole networks are compared in test_torchvision_parity."""

from __future__ import annotations

import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss, maskrcnn_loss

from instseg.models.losses import box_losses, mask_loss


def test_the_losses_of_boxes_are_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, deltas = (torch.randn(5, width, generator=generator) for width in (4, 16))
    labels, target_deltas = torch.tensor([0, 2, 0, 3, 1]), torch.randn(5, 4, generator=generator)
    expected = fastrcnn_loss(logits, deltas, [labels], [target_deltas])
    torch.testing.assert_close(box_losses(logits, labels, deltas, target_deltas, torch.tensor([1, 3, 4])), expected)


def test_on_equal_targets_the_loss_of_masks_is_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(3, 28, 28, generator=generator) > 0.5).to(torch.uint8)
    logits = torch.randn(3, 4, 28, 28, generator=generator)
    labels = torch.tensor([1, 3, 2])
    as_they_are = torch.tensor([[-0.5, -0.5, 27.5, 27.5]]).expand(3, 4)  # roi_align then reads pixel by pixel
    expected = maskrcnn_loss(logits, [as_they_are], [masks], [labels], [torch.arange(3)])
    torch.testing.assert_close(mask_loss(logits[torch.arange(3), labels], masks.float()), expected)


def test_without_rois_the_loss_of_masks_is_zero_and_in_the_graph() -> None:
    logits = torch.zeros(0, 28, 28, requires_grad=True)
    loss = mask_loss(logits, torch.zeros(0, 28, 28))
    loss.backward()
    assert loss == 0 and logits.grad is not None
