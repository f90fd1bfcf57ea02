"""Mask R-CNN on one image as a graph that exporters can follow: the same operators for every image.

The results are those of ``MaskRCNN.predict`` before its masks are drawn. What differs is what exporters cannot take:
the loops over images and groups, kernels of PyTorch's own, and sizes that Python would read and keep as constants.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from instseg.core.segmenter import Suppression
from instseg.core.types import SIZE_DIVISOR
from instseg.models.roi_align import MultiScaleRoIAlign
from instseg.models.roi_heads import RoIHeads
from instseg.models.rpn import RegionProposalNetwork

NO_BOX = -1.0
"""The score of a row that holds no box: below every threshold."""
MIN_DETECTION_PX = 1e-2


class DetectionGraph(nn.Module):
    """The network from one image to what is found on it.

    Args:
        normalize: has the buffers mean and std.
        backbone: with its pyramid.
        rpn: region proposals.
        roi_heads: box and mask heads.
        suppress: the suppression of the format that is exported to.
    """

    def __init__(
        self,
        normalize: nn.Module,
        backbone: nn.Module,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        suppress: Suppression,
    ) -> None:
        super().__init__()
        self.normalize, self.backbone, self.rpn, self.roi_heads = normalize, backbone, rpn, roi_heads
        self.suppress = suppress

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find the instances on an image; all are in its pixels.

        Args:
            image: uint8 (H, W, 3) RGB, in the network frame.

        Returns:
            Boxes (N, 4) xyxy px, labels int64 (N,), scores (N,) that fall, and mask probabilities (N, m, m) in the
            frame of each box.
        """
        padded, limit = self._padded(image)
        features = self.backbone(padded)
        rois, scores = self._proposals(list(features.values()), padded, limit)
        boxes, labels, scores = self._detections(features, rois, scores > NO_BOX, limit)
        return boxes, labels, scores, self._masks(features, boxes, labels)

    def _padded(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised image (1, 3, H, W), H and W multiples of 32, and its size (4,) x, y, x, y px."""
        mean, std = self.normalize.get_buffer("mean"), self.normalize.get_buffer("std")
        pixels = (image.permute(2, 0, 1).to(torch.float32) / 255 - mean) / std
        height, width = image.shape[0], image.shape[1]
        padded = F.pad(pixels[None], (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))
        size = torch.stack([torch.scalar_tensor(side, dtype=torch.float32) for side in (width, height)])
        return padded, size.repeat(2)

    def _proposals(self, levels: Sequence[Tensor], padded: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        """Return the proposals (R, 4) xyxy px and their scores (R,), best first; R does not depend on the image."""
        rpn = self.rpn
        anchors = [
            _anchors(cell, level, padded) for cell, level in zip(rpn.anchor_generator.cell_anchors, levels, strict=True)
        ]
        count = rpn.pre_nms_top_n()
        objectness, rpn_deltas = rpn.head(list(levels))
        of_levels = zip(objectness, rpn_deltas, anchors, strict=True)
        best = [_best(*of_level, count) for of_level in of_levels]
        logits, deltas, chosen = (torch.stack(parts) for parts in zip(*best, strict=True))
        boxes = rpn.box_coder.decode_single(deltas.flatten(0, 1), chosen.flatten(0, 1)).view(len(levels), count, 4)
        boxes = clip(boxes, limit)
        scores = torch.where(torch.isinf(logits), NO_BOX, logits.sigmoid())
        is_valid = _is_large(boxes, rpn.min_size) & (scores >= rpn.score_thresh)
        scores = torch.where(is_valid, scores, NO_BOX)
        limit_of_image = min(rpn.post_nms_top_n(), len(levels) * count)
        kept = self.suppress(boxes, scores, rpn.nms_thresh, NO_BOX / 2, limit_of_image)
        scores, rows = best_kept(scores, kept, limit_of_image)
        return boxes.flatten(0, 1)[rows], scores

    def _detections(
        self, features: dict[str, Tensor], rois: Tensor, is_roi: Tensor, limit: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes (N, 4) xyxy px, labels int64 (N,) and scores (N,), best first."""
        heads = self.roi_heads
        logits, deltas = heads.box_predictor(heads.box_head(pool_by_level(heads.box_roi_pool, features, rois)))
        boxes = clip(heads.box_coder.decode(deltas, [rois])[:, 1:].transpose(0, 1), limit)  # (categories, R, 4)
        is_valid = _is_large(boxes, MIN_DETECTION_PX) & is_roi
        scores = torch.where(is_valid, logits.softmax(-1)[:, 1:].transpose(0, 1), NO_BOX)
        at_most = min(heads.detections_per_img, scores.numel())
        kept = self.suppress(boxes, scores, heads.nms_thresh, heads.score_thresh, at_most)
        scores, rows = best_kept(scores, kept, at_most)
        is_found = scores > NO_BOX
        return boxes.flatten(0, 1)[rows[is_found]], rows[is_found] // rois.shape[0] + 1, scores[is_found]

    def _masks(self, features: dict[str, Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """Return the mask probabilities (N, m, m)."""
        heads = self.roi_heads
        boxes, labels = F.pad(boxes, (0, 0, 0, 1)), F.pad(labels, (0, 1))  # of nothing, convolutions may fail
        pooled = pool_by_level(heads.mask_roi_pool, features, boxes)
        logits: Tensor = heads.mask_predictor.logits(heads.mask_head(pooled), labels)
        return logits.sigmoid()[:-1]


def _anchors(cell: Tensor, level: Tensor, padded: Tensor) -> Tensor:
    """Return the anchors (A, 4) xyxy px of a level; their strides are those of torchvision's ``AnchorGenerator``."""
    y, x = (torch.arange(level.shape[axis]) * (padded.shape[axis] // level.shape[axis]) for axis in (2, 3))
    y, x = y[:, None].expand(-1, x.shape[0]).flatten(), x[None].expand(y.shape[0], -1).flatten()
    return (torch.stack([x, y, x, y], 1)[:, None] + cell).view(-1, 4)


def _best(objectness: Tensor, deltas: Tensor, anchors: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (count,), deltas (count, 4) and anchors (count, 4) of the best anchors of a level.

    Where the level has fewer, rows with a logit of minus infinity follow: so the number is a constant.
    """
    logits = F.pad(objectness[0].permute(1, 2, 0).flatten(), (0, count), value=float("-inf"))
    rows = deltas[0].permute(1, 2, 0).reshape(-1, 4)
    best, index = logits.topk(count)
    return best, F.pad(rows, (0, 0, 0, count))[index], F.pad(anchors, (0, 0, 0, count))[index]


def best_kept(scores: Tensor, kept: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return scores and rows of the best boxes that are kept, (count,); those that are missing have ``NO_BOX``.

    Args:
        scores: (G, N).
        kept: int64 (S,) rows counted over all groups.
        count: at most G * N.
    """
    flat = scores.flatten()
    remaining = torch.full_like(flat, NO_BOX).scatter(0, kept, flat[kept])
    return remaining.topk(count)


def pool_by_level(pool: MultiScaleRoIAlign, features: dict[str, Tensor], rois: Tensor) -> Tensor:
    """Pool RoIs, each on its level.

    Args:
        pool: the levels, their strides and the size.
        features: name of the level -> (1, C, H_l, W_l).
        rois: (R, 4) xyxy px in the network frame.

    Returns:
        (R, C, size, size).
    """
    level = pool.map_levels([rois])
    pooled = [
        roi_align(features[name], [rois[level == number]], pool.output_size, scale, pool.sampling_ratio, pool.aligned)
        for number, (name, scale) in enumerate(zip(pool.featmap_names, pool.scales, strict=True))
    ]
    _, order = (level * rois.shape[0] + torch.arange(rois.shape[0])).sort()  # a stable sort, which ONNX has not
    return torch.cat(pooled)[order.sort()[1]]


def clip(boxes: Tensor, limit: Tensor) -> Tensor:
    """Cut boxes at the border of the image.

    Args:
        boxes: (..., 4) xyxy px.
        limit: (4,) size of the image, x, y, x, y px.
    """
    return torch.minimum(boxes.clamp(min=0), limit)


def _is_large(boxes: Tensor, min_size: float) -> Tensor:
    return ((boxes[..., 2:] - boxes[..., :2]) >= min_size).all(-1)
