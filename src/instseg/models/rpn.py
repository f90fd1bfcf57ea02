"""Region proposals whose loss is to be had in evaluation too, without disturbing any random number."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork as TorchvisionRegionProposalNetwork
from torchvision.models.detection.rpn import concat_box_prediction_layers

EVALUATION_SEED = 0  # validation losses of two epochs compare only when both drew the same samples


class BalancedSampler(BalancedPositiveNegativeSampler):  # type: ignore[misc]
    """Draws as torchvision's sampler does; where ``repeatable`` is set, the same draw every time.

    The repeatable draw has a generator of its own: the state of the global one stays as it was, on every device.
    """

    repeatable = False

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """matched_idxs: per image (A,), >= 1 positive, 0 negative, -1 ignored -> per image two (A,) uint8 masks."""
        device = matched_idxs[0].device
        generator = torch.Generator(device).manual_seed(EVALUATION_SEED) if self.repeatable else None
        positives, negatives = [], []
        for matched in matched_idxs:
            positive, negative = torch.where(matched >= 1)[0], torch.where(matched == 0)[0]
            num_positives = min(len(positive), int(self.batch_size_per_image * self.positive_fraction))
            num_negatives = min(len(negative), self.batch_size_per_image - num_positives)
            positives.append(_draw(positive, num_positives, len(matched), generator))
            negatives.append(_draw(negative, num_negatives, len(matched), generator))
        return positives, negatives


def _draw(candidates: Tensor, count: int, length: int, generator: torch.Generator | None) -> Tensor:
    """(length,) uint8, one at ``count`` random candidates."""
    order = torch.randperm(len(candidates), device=candidates.device, generator=generator)[:count]
    chosen = torch.zeros(length, dtype=torch.uint8, device=candidates.device)
    chosen[candidates[order]] = 1
    return chosen


def full_precision(tensor: Tensor) -> Tensor:
    """float32 where autocast made half precision: in bfloat16 a coordinate of 700 px is off by up to 2 px."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


class RegionProposalNetwork(TorchvisionRegionProposalNetwork):  # type: ignore[misc]
    """torchvision's RPN (Ren et al., 2015); the losses come whenever targets are given, in evaluation as well."""

    def __init__(
        self,
        anchor_generator: torch.nn.Module,
        head: torch.nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__(
            anchor_generator,
            head,
            fg_iou_thresh,
            bg_iou_thresh,
            batch_size_per_image,
            positive_fraction,
            pre_nms_top_n,
            post_nms_top_n,
            nms_thresh,
            score_thresh,
        )
        self.fg_bg_sampler = BalancedSampler(batch_size_per_image, positive_fraction)

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """-> proposals, per image (R, 4) xyxy in the network frame, best first; and the losses, {} without targets."""
        levels = list(features.values())
        objectness_levels, delta_levels = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        num_per_level = [level[0].numel() for level in objectness_levels]
        objectness, deltas = concat_box_prediction_layers(objectness_levels, delta_levels)
        objectness, deltas = full_precision(objectness), full_precision(deltas)
        decoded = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        proposals, _ = self.filter_proposals(decoded, objectness, images.image_sizes, num_per_level)
        losses = {} if targets is None else self._losses(anchors, objectness, deltas, targets)
        return proposals, losses

    def _losses(
        self, anchors: list[Tensor], objectness: Tensor, deltas: Tensor, targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        self.fg_bg_sampler.repeatable = not self.training
        labels, matched_boxes = self.assign_targets_to_anchors(anchors, targets)
        regression_targets = self.box_coder.encode(matched_boxes, anchors)
        loss_objectness, loss_box = self.compute_loss(objectness, deltas, labels, regression_targets)
        return {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_box}
