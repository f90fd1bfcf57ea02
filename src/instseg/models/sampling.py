"""Which anchors and proposals the losses look at: torchvision's rules and draws, for all images of a batch at once.

Every ``torch.where`` makes the host wait for a GPU, so there are as few as the rules allow: with the number of its
places two waits in a draw, whatever the number of images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher

EVALUATION_SEED = 0  # validation losses of two epochs compare only when both drew the same samples


class Matcher(TorchvisionMatcher):  # type: ignore[misc]
    """torchvision's, which gives every instance its best anchors, without looking up where these are."""

    def set_low_quality_matches_(self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor) -> None:
        """Change ``matches``, int64 (A,), in place; match_quality_matrix: (N, A) IoU."""
        highest = match_quality_matrix.amax(dim=1, keepdim=True)
        is_best_of_one = (match_quality_matrix == highest).any(dim=0)
        matches.copy_(torch.where(is_best_of_one, all_matches, matches))


class BalancedSampler:
    """Draws as torchvision's BalancedPositiveNegativeSampler; where ``repeatable`` is set, the same draw every time.

    The repeatable draw has a generator of its own: the state of the global one stays as it was, on every device.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction
        self.repeatable = False

    def __call__(self, matched: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """matched: per image (A,), >= 1 positive, 0 negative, -1 ignored -> per image the rows of both, int64."""
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
    """For each row of a bool (R, A) the columns that are set, ascending; the host waits twice, for all of them."""
    num_of_row = chosen.sum(1).tolist()
    rows = torch.split(torch.where(chosen.flatten())[0], num_of_row)
    return [columns - row * chosen.shape[1] for row, columns in enumerate(rows)]


def _draw(candidates: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """``count`` random ones, ascending."""
    order = torch.randperm(len(candidates), device=candidates.device, generator=generator)[:count]
    return candidates[order].sort().values


def offset_indices(indices: list[Tensor], lengths: list[int]) -> Tensor:
    """Indices into each image's own rows -> indices into all rows, one after the other."""
    offsets = [sum(lengths[:image]) for image in range(len(lengths))]
    return torch.cat([index + offset for index, offset in zip(indices, offsets, strict=True)])
