"""Region proposals with the results of torchvision's RPN, without computations that nothing depends on.

The loss uses 256 anchors of an image, and the proposals need no gradient. So the head runs over the whole pyramid
without a graph, and with one only at the sampled anchors. The backward pass of its convolutions, a sixth of a training
step, nearly vanishes; gradients and losses stay the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork as TorchvisionRegionProposalNetwork
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image

from instseg.core.types import ImageSize
from instseg.models.feature_rows import FeatureRows
from instseg.models.ignored_regions import without_ignored
from instseg.models.losses import proposal_losses
from instseg.models.nms import nms_in_groups
from instseg.models.sampling import BalancedSampler, Matcher, columns_where, offset_indices


def full_precision(tensor: Tensor) -> Tensor:
    """Return half precision as float32: in bfloat16 a coordinate of 700 px is off by up to 2 px."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


class RegionProposalNetwork(TorchvisionRegionProposalNetwork):
    """torchvision's RPN (Ren et al., 2015), with losses whenever targets are given, also in evaluation."""

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
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return proposals and losses.

        Args:
            images: the batch.
            features: name of the level -> (B, C, H_l, W_l).
            targets: per image boxes (N, 4) xyxy px in the network frame.

        Returns:
            Per image the proposals (R, 4) xyxy px in the network frame, best first; and the losses, {} without targets.
        """
        levels = list(features.values())
        anchors = self.anchor_generator(images, levels)
        with torch.no_grad():
            proposals = self.propose(levels, anchors[0], images)
        return proposals, {} if targets is None else self.losses(levels, anchors, targets)

    def propose(self, levels: list[Tensor], anchors: Tensor, images: ImageList) -> list[Tensor]:
        """Return the proposals of each image, (R, 4) xyxy px in the network frame, best first.

        Only the anchors with the best scores of each level are decoded to boxes.

        Args:
            levels: (B, C, H_l, W_l) each.
            anchors: (A, 4) xyxy, the same for all images of a batch.
            images: the batch.
        """
        objectness_levels, delta_levels = self.head(levels)
        num_per_level = [level[0].numel() for level in objectness_levels]
        objectness, deltas = concat_box_prediction_layers(objectness_levels, delta_levels)
        objectness = full_precision(objectness).view(len(images.image_sizes), -1)
        best = self._get_top_n_idx(objectness, num_per_level)  # (B, K)
        deltas = full_precision(deltas.view(*objectness.shape, 4).gather(1, best[:, :, None].expand(-1, -1, 4)))
        boxes = self.box_coder.decode_single(deltas.flatten(0, 1), anchors[best.flatten()]).view(*best.shape, 4)
        counts = [min(count, self.pre_nms_top_n()) for count in num_per_level]
        level = torch.cat([best.new_full((count,), level) for level, count in enumerate(counts)])  # (K,)
        return self.keep_best(boxes, objectness.gather(1, best).sigmoid(), level, images.image_sizes)

    def keep_best(self, boxes: Tensor, scores: Tensor, level: Tensor, image_sizes: list[ImageSize]) -> list[Tensor]:
        """Return the boxes of each image, (R, 4), that remain after NMS within each level.

        Args:
            boxes: (B, K, 4) xyxy px in the network frame.
            scores: (B, K) 0..1.
            level: int64 (K,) level of each box.
            image_sizes: (height, width) px of the images without the padding.
        """
        boxes = torch.stack([clip_boxes_to_image(b, size) for b, size in zip(boxes, image_sizes, strict=True)])
        is_large = ((boxes[:, :, 2:] - boxes[:, :, :2]) >= self.min_size).all(2)
        rows_of_images = columns_where(is_large & (scores >= self.score_thresh))
        inside, likely = (
            [values[rows] for values, rows in zip(values_of_images, rows_of_images, strict=True)]
            for values_of_images in (boxes, scores)
        )
        levels = [level[rows] for rows in rows_of_images]
        kept = nms_in_groups(inside, likely, levels, self.nms_thresh)
        return [clipped[rows[: self.post_nms_top_n()]] for clipped, rows in zip(inside, kept, strict=True)]

    def losses(
        self, levels: list[Tensor], anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return the losses over the sampled anchors.

        Args:
            levels: (B, C, H_l, W_l) each.
            anchors: per image (A, 4) xyxy px in the network frame.
            targets: per image boxes (N, 4) xyxy px in the network frame, and ignored regions where it has some.
        """
        self.fg_bg_sampler.repeatable = not self.training
        labels, matched_boxes = self.assign_targets_to_anchors(anchors, targets)
        labels = without_ignored(labels, anchors, targets)
        positive, negative = (
            offset_indices(rows, [len(boxes) for boxes in anchors]) for rows in self.fg_bg_sampler(labels)
        )
        sampled = torch.cat([positive, negative])
        objectness, deltas = self._head_at(levels, sampled, len(anchors[0]))
        target_deltas = self.box_coder.encode_single(torch.cat(matched_boxes)[positive], torch.cat(anchors)[positive])
        loss_objectness, loss_box = proposal_losses(
            objectness, torch.cat(labels)[sampled], deltas[: len(positive)], target_deltas
        )
        return {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_box}

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return labels and boxes as torchvision does, for any number of instances in bounded memory.

        Args:
            anchors: per image (A, 4) xyxy px in the network frame.
            targets: per image boxes (N, 4) xyxy px in the network frame.

        Returns:
            Per image the label of each anchor, float32 (A,): 1 positive, 0 negative, -1 ignored; and its box, (A, 4).
        """
        assigned = [
            _assign(self.proposal_matcher, a, target["boxes"]) for a, target in zip(anchors, targets, strict=True)
        ]
        return [labels for labels, _ in assigned], [boxes for _, boxes in assigned]

    def _head_at(self, levels: list[Tensor], chosen: Tensor, num_anchors: int) -> tuple[Tensor, Tensor]:
        """Return logits (R,) and deltas (R, 4) of chosen anchors, int64 (R,) indices into those of the whole batch."""
        rows = FeatureRows.of(levels)
        per_pixel = self.anchor_generator.num_anchors_per_location()[0]
        ends = torch.cumsum(rows.heights * rows.widths * per_pixel, 0)
        image, anchor = chosen // num_anchors, chosen % num_anchors
        level = torch.bucketize(anchor, ends, right=True)
        first = (ends - rows.heights * rows.widths * per_pixel)[level]
        pixel, shape = (anchor - first) // per_pixel, anchor % per_pixel
        width = rows.widths[level]
        hidden, inside = rows.patches(image, level, pixel // width, pixel % width, radius=len(self.head.conv))
        for layer in self.head.conv:  # each a 3x3 convolution, which makes the patch two pixels smaller
            inside = inside[:, :, 1:-1, 1:-1]
            convolution = layer[0]
            hidden = F.relu(F.conv2d(hidden, convolution.weight, convolution.bias)) * inside
        rows_of_chosen = torch.arange(len(chosen), device=chosen.device)
        logits = self.head.cls_logits(hidden).flatten(1)[rows_of_chosen, shape]
        deltas = self.head.bbox_pred(hidden).view(len(chosen), per_pixel, 4)[rows_of_chosen, shape]
        return full_precision(logits), full_precision(deltas)


def _assign(matcher: Matcher, anchors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels (A,) and boxes (A, 4) of the anchors of one image."""
    if not len(boxes):
        return anchors.new_zeros(len(anchors), dtype=torch.float32), torch.zeros_like(anchors, dtype=torch.float32)
    matches = matcher.match(boxes, anchors)
    labels = (matches >= 0).float()
    labels[matches == matcher.BETWEEN_THRESHOLDS] = -1.0
    return labels, boxes[matches.clamp(min=0)]
