"""Sampling of anchors and proposals for the losses by torchvision's rules, for all images of a batch at once.

Every ``torch.where`` makes the host wait for a GPU. So a draw has one for all images, and waits twice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher
from torchvision.ops import box_iou

MAX_PAIRS = 1 << 25
"""IoUs computed at a time: 134 MB, and some tensors of twice that on the way."""
PART = 4096
"""Anchors of a part: a few rows of the finest level, near which few of many instances lie."""
EVALUATION_SEED = 0  # validation losses of two epochs compare only when both drew the same samples


class Matcher(TorchvisionMatcher):
    """torchvision's matcher, which gives every instance its best anchors, without the search for their indices."""

    def set_low_quality_matches_(self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor) -> None:
        """Assign its best anchors to every instance.

        Args:
            matches: int64 (A,), changed in place.
            all_matches: int64 (A,) instance with the highest IoU, without a threshold.
            match_quality_matrix: (N, A) IoU of instances and anchors.
        """
        highest = match_quality_matrix.amax(dim=1, keepdim=True)
        is_best_of_one = (match_quality_matrix == highest).any(dim=0)
        matches.copy_(torch.where(is_best_of_one, all_matches, matches))

    def match(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Match anchors with instances as a call with all of their IoUs does, in bounded memory.

        2,000 instances and the anchors of 1,024 x 1,024 px are half a billion pairs. If there are more than MAX_PAIRS,
        anchors are compared in parts with the instances near them, twice: the best anchors of an instance are known
        after the first time.

        Args:
            boxes: float32 (N, 4) xyxy of the instances, N at least 1.
            anchors: float32 (A, 4) xyxy.

        Returns:
            int64 (A,) the instance of each anchor, or below 0 as of torchvision's matcher.
        """
        if len(boxes) * len(anchors) <= MAX_PAIRS:
            matches: Tensor = self(box_iou(boxes, anchors))
            return matches
        parts = torch.split(anchors, PART)
        near = [_meeting(boxes, part) for part in parts]
        highest = boxes.new_zeros(len(boxes))
        for part, rows in zip(parts, near, strict=True):
            if len(rows):
                highest[rows] = torch.maximum(highest[rows], box_iou(boxes[rows], part).amax(dim=1))
        pairs = zip(parts, near, strict=True)
        return torch.cat([self._match_part(boxes[rows], part, highest[rows], rows) for part, rows in pairs])

    def _match_part(self, boxes: Tensor, anchors: Tensor, highest: Tensor, rows: Tensor) -> Tensor:
        """Match anchors with the instances near them, given the highest IoU of each and its row among all."""
        below, between = self.BELOW_LOW_THRESHOLD, self.BETWEEN_THRESHOLDS
        if not len(rows):
            return rows.new_full((len(anchors),), below)
        ious = box_iou(boxes, anchors)
        best, nearest = ious.max(dim=0)
        all_matches = rows[nearest]
        matches = torch.where(best < self.high_threshold, between, all_matches)
        matches = torch.where(best < self.low_threshold, below, matches)
        is_best_of_one = (ious == highest[:, None]).any(dim=0)
        return torch.where(is_best_of_one, all_matches, matches)


def _meeting(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return the rows of the boxes that meet the extent of some anchors, int64."""
    low, high = anchors[:, :2].amin(dim=0), anchors[:, 2:].amax(dim=0)
    return torch.where(((boxes[:, :2] < high) & (boxes[:, 2:] > low)).all(dim=1))[0]


class BalancedSampler:
    """A sampler that draws as torchvision's BalancedPositiveNegativeSampler; with ``repeatable`` the same every time.

    The repeatable draw has its own generator: the state of the global one does not change, on any device.

    Args:
        batch_size_per_image: number of samples of an image.
        positive_fraction: largest fraction of positives among them.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.repeatable = False

    def __call__(self, matched: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the sampled positive and the sampled negative rows of each image, int64, ascending.

        Args:
            matched: per image (A,): 1 or more is positive, 0 negative, -1 ignored.
        """
        device = matched[0].device
        generator = torch.Generator(device).manual_seed(EVALUATION_SEED) if self.repeatable else None
        labels = pad_sequence(matched, batch_first=True, padding_value=-1)  # (B, longest A)
        rows = columns_where(torch.cat([labels >= 1, labels == 0]))
        candidates = zip(rows[: len(matched)], rows[len(matched) :], strict=True)
        positives, negatives = [], []
        for positive, negative in candidates:
            num_positives = min(len(positive), int(self.batch_size_per_image * self.positive_fraction))
            num_negatives = min(len(negative), self.batch_size_per_image - num_positives)
            positives.append(_draw(positive, num_positives, generator))
            negatives.append(_draw(negative, num_negatives, generator))
        return positives, negatives


def columns_where(chosen: Tensor) -> list[Tensor]:
    """Return the columns that are True in each row of a bool (R, A), ascending; the host waits for the device twice."""
    num_of_row = chosen.sum(1).tolist()
    rows = torch.split(torch.where(chosen.flatten())[0], num_of_row)
    return [columns - row * chosen.shape[1] for row, columns in enumerate(rows)]


def _draw(candidates: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Return ``count`` random candidates, ascending."""
    order = torch.randperm(len(candidates), device=candidates.device, generator=generator)[:count]
    return candidates[order].sort().values


def offset_indices(indices: list[Tensor], lengths: list[int]) -> Tensor:
    """Return indices into the rows of each image as indices into the concatenated rows of all images.

    Args:
        indices: per image int64 (R_i,).
        lengths: number of rows of each image.
    """
    offsets = [sum(lengths[:image]) for image in range(len(lengths))]
    return torch.cat([index + offset for index, offset in zip(indices, offsets, strict=True)])
