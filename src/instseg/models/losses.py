"""The losses of Mask R-CNN: equations on what the heads returned and the targets that were sampled for it.

``RegionProposalNetwork.losses`` and ``RoIHeads.losses`` call them and name their results. A further term needs its name
in ``mask_rcnn_options.LOSSES``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BACKGROUND = 0
"""Label of RoIs without an instance."""
SMOOTH_L1_BETA = 1 / 9
"""Difference of a box delta up to which its loss is quadratic, as in torchvision."""


def proposal_losses(objectness: Tensor, labels: Tensor, deltas: Tensor, target_deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two terms of equation 1 of Ren et al. (2015) over the sampled anchors.

    Args:
        objectness: (S,) logits.
        labels: (S,) float, 1 for an anchor that matches an instance, else 0.
        deltas: (P, 4) of the positive anchors.
        target_deltas: (P, 4) from these anchors to the boxes of their instances.

    Returns:
        Loss of the objectness and of the boxes.
    """
    summed = F.smooth_l1_loss(deltas, target_deltas, beta=SMOOTH_L1_BETA, reduction="sum")
    return F.binary_cross_entropy_with_logits(objectness, labels), summed / len(labels)


def box_losses(
    class_logits: Tensor,
    labels: Tensor,
    deltas: Tensor,
    target_deltas: Tensor,
    positive: Tensor,
    unlabelled: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the two terms of equation 1 of Girshick (2015), equal to torchvision's ``fastrcnn_loss``.

    The positive RoIs are given, so the host does not wait for the device to find them.

    Args:
        class_logits: (S, num_classes).
        labels: int64 (S,) 0 is background.
        deltas: (S, num_classes * 4).
        target_deltas: (S, 4) from the RoIs to the boxes of their instances.
        positive: int64 (P,) rows that are not background.
        unlabelled: bool (S, num_classes) the categories that are not labelled on the image of a RoI; None for none.

    Returns:
        Loss of the classes and of the boxes.
    """
    if unlabelled is not None:
        class_logits = with_background_of_unlabelled(class_logits, labels, unlabelled)
    deltas_of_label = deltas.view(len(labels), -1, 4)[positive, labels[positive]]
    summed = F.smooth_l1_loss(deltas_of_label, target_deltas[positive], beta=SMOOTH_L1_BETA, reduction="sum")
    return F.cross_entropy(class_logits, labels), summed / len(labels)


def with_background_of_unlabelled(class_logits: Tensor, labels: Tensor, unlabelled: Tensor) -> Tensor:
    """Return logits in which the background of an image stands for its unlabelled categories, too.

    A RoI without an instance may show one that nobody has labelled: its likelihood is that of the background or any of
    the unlabelled categories, the sum of their probabilities (marginal loss: Shi et al., 2021, Medical Image Analysis
    70; the same for detection: Cermelli et al., 2022, arXiv:2204.08766). A RoI on an instance is of its category and
    of no other, whatever is labelled there.

    Args:
        class_logits: (S, num_classes).
        labels: int64 (S,) 0 is background.
        unlabelled: bool (S, num_classes).

    Returns:
        (S, num_classes); the same numbers where nothing is unlabelled.
    """
    joins = unlabelled & (labels == BACKGROUND)[:, None]
    is_background = torch.arange(class_logits.shape[1], device=joins.device) == BACKGROUND
    background = class_logits.masked_fill(~(joins | is_background), -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, class_logits.masked_fill(joins, -torch.inf)[:, 1:]], 1)


def mask_loss(mask_logits: Tensor, mask_targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of the masks (He et al., 2017); zero with a gradient if there are no RoIs.

    Args:
        mask_logits: (R, m, m).
        mask_targets: (R, m, m), 0..1.
    """
    if not len(mask_logits):
        return mask_logits.sum() * 0
    return F.binary_cross_entropy_with_logits(mask_logits, mask_targets.to(mask_logits.dtype))
