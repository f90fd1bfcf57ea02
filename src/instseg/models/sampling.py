"""Sampling of anchors and proposals for the losses by torchvision's rules, for all images of a batch at once.

Every ``torch.where`` makes the host wait for a GPU. So a draw has one for all images, and waits twice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher

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
