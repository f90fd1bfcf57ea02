"""Multi-level RoIAlign that is fast on a CPU: all levels and images in one embedding_bag.

A pooled bin is a weighted sum of feature vectors, the very thing ``embedding_bag`` computes, multi-threaded and
vectorised along the channels. torchvision's CPU kernel runs level by level on one thread, with the channels in the
outer loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import _is_tracing
from torchvision.ops import MultiScaleRoIAlign as TorchvisionMultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper, _filter_input, _setup_scales

from instseg.types import ImageSize


class MultiScaleRoIAlign(TorchvisionMultiScaleRoIAlign):  # type: ignore[misc]
    """torchvision's MultiScaleRoIAlign with a quick path for the CPU; without parameters, the same results to 1e-4.

    ``strides`` fixes the scale of every level. Without it the scales are guessed from the first batch, as torchvision
    does, which errs on images much smaller than their padding.
    """

    def __init__(
        self, featmap_names: list[str], output_size: int, sampling_ratio: int, *, strides: Sequence[int] | None = None
    ) -> None:
        super().__init__(featmap_names, output_size, sampling_ratio)
        if strides is not None:
            self.scales = [1 / stride for stride in strides]
            lowest, highest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
            self.map_levels = LevelMapper(lowest, highest, self.canonical_scale, self.canonical_level)

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[ImageSize]) -> Tensor:
        """x: per level (B, C, H, W); boxes: per image (R_i, 4) xyxy, network frame -> (sum R_i, C, size, size)."""
        levels = _filter_input(x, self.featmap_names)
        if levels[0].device.type != "cpu" or self.sampling_ratio <= 0 or _is_tracing():
            pooled: Tensor = super().forward(x, boxes, image_shapes)
            return pooled
        if self.scales is None or self.map_levels is None:
            self.scales, self.map_levels = _setup_scales(
                levels, image_shapes, self.canonical_scale, self.canonical_level
            )
        level_of_roi = self.map_levels(boxes)
        return roi_align_rows(levels, self.scales, boxes, level_of_roi, self.output_size, self.sampling_ratio)


def roi_align_rows(
    features: list[Tensor],
    scales: Sequence[float],
    boxes: list[Tensor],
    level_of_roi: Tensor,
    output_size: tuple[int, int],
    sampling_ratio: int,
) -> Tensor:
    """RoIAlign (He et al., 2017), aligned=False, of RoIs on chosen levels; differentiable in the features.

    features: per level (B, C, H_l, W_l), quickest in channels_last; boxes: per image (R_i, 4) xyxy in pixels of the
    image; level_of_roi: int64 (sum R_i,). Returns (sum R_i, C, *output_size) in channels_last.
    """
    batch, channels = features[0].shape[:2]
    dtype = features[0].dtype
    exact = torch.promote_types(dtype, torch.float32)  # half precision is summed in float32, as torchvision does
    table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels).to(exact) for level in features])
    heights, widths = torch.tensor([level.shape[2:] for level in features]).T
    first_row = torch.cumsum(batch * heights * widths, 0) - batch * heights * widths

    height, width = heights[level_of_roi], widths[level_of_roi]
    image_of_roi = torch.repeat_interleave(torch.tensor([len(b) for b in boxes]))
    image_row = first_row[level_of_roi] + image_of_roi * height * width
    rois = torch.cat(boxes).detach().to(exact) * torch.tensor(scales, dtype=exact)[level_of_roi, None]
    y, y_weight = _axis_samples(rois[:, 1], rois[:, 3], height, output_size[0], sampling_ratio)
    x, x_weight = _axis_samples(rois[:, 0], rois[:, 2], width, output_size[1], sampling_ratio)

    rows = image_row.view(-1, 1, 1, 1, 1) + (y * width[:, None, None])[:, :, None, :, None] + x[:, None, :, None, :]
    weights = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    per_bin = (2 * sampling_ratio) ** 2
    rows, weights = rows.reshape(-1, per_bin), weights.reshape(-1, per_bin)
    pooled = F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
    return pooled.view(len(image_row), *output_size, channels).permute(0, 3, 1, 2).to(dtype)


def _axis_samples(start: Tensor, end: Tensor, limit: Tensor, bins: int, ratio: int) -> tuple[Tensor, Tensor]:
    """Both neighbours of every sample along one axis and their shares: (R, bins, 2 * ratio) indices and weights.

    Follows the kernel's border rules: a RoI is at least one cell long, a sample more than one cell outside counts
    zero, nearer ones read the border cell.
    """
    length = (end - start).clamp(min=1)
    grid = (torch.arange(bins * ratio, dtype=start.dtype) + 0.5) / (bins * ratio)
    position = start[:, None] + length[:, None] * grid
    last = limit[:, None].to(start.dtype) - 1
    inside = (position >= -1) & (position <= last + 1)
    position = position.clamp(min=0).minimum(last)
    low = position.floor()
    fraction = position - low
    indices = torch.stack([low, (low + 1).minimum(last)], -1).long()
    weights = torch.stack([(1 - fraction) * inside, fraction * inside], -1) / ratio
    return indices.view(-1, bins, 2 * ratio), weights.view(-1, bins, 2 * ratio)
