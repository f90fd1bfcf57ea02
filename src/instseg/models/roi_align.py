"""Multi-level RoIAlign that is fast on a CPU: all levels and images in one weighted sum of rows.

A pooled bin is a weighted sum of feature vectors, the very thing ``embedding_bag`` computes, multi-threaded and
vectorised along the channels. torchvision's CPU kernel runs level by level on one thread, with the channels in the
outer loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision import _is_tracing
from torchvision.ops import MultiScaleRoIAlign as TorchvisionMultiScaleRoIAlign
from torchvision.ops import roi_align
from torchvision.ops.poolers import LevelMapper, _convert_to_roi_format, _filter_input, _setup_scales

from instseg.core.errors import InstsegError
from instseg.core.types import ImageSize
from instseg.models.feature_rows import FeatureRows
from instseg.models.weighted_rows import sum_rows


class MultiScaleRoIAlign(TorchvisionMultiScaleRoIAlign):  # type: ignore[misc]
    """torchvision's MultiScaleRoIAlign with a quick path for the CPU; without parameters, the same results to 1e-4.

    ``strides`` fixes the scale of every level. Without it the scales are guessed from the first batch, as torchvision
    does, which errs on images much smaller than their padding. A ``sampling_ratio`` of 0 or less takes as many samples
    as a bin has cells. ``aligned`` puts the centre of a cell half a cell from its border, as detectron2's weights want
    it; torchvision's want it False.
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int,
        sampling_ratio: int,
        *,
        strides: Sequence[int] | None = None,
        aligned: bool = False,
    ) -> None:
        super().__init__(featmap_names, output_size, sampling_ratio)
        self.aligned = aligned
        if strides is not None:
            self.scales = [1 / stride for stride in strides]
            lowest, highest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
            self.map_levels = LevelMapper(lowest, highest, self.canonical_scale, self.canonical_level)

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[ImageSize]) -> Tensor:
        """x: per level (B, C, H, W); boxes: per image (R_i, 4) xyxy, network frame -> (sum R_i, C, size, size)."""
        if _is_tracing():
            if self.aligned:
                raise InstsegError("RoIAlign with aligned=True cannot be traced")
            traced: Tensor = super().forward(x, boxes, image_shapes)
            return traced
        levels = _filter_input(x, self.featmap_names)
        if self.scales is None or self.map_levels is None:
            self.scales, self.map_levels = _setup_scales(
                levels, image_shapes, self.canonical_scale, self.canonical_level
            )
        pool = roi_align_rows if levels[0].device.type == "cpu" else roi_align_levels
        level_of_roi = self.map_levels(boxes)
        return pool(levels, self.scales, boxes, level_of_roi, self.output_size, self.sampling_ratio, self.aligned)


def roi_align_levels(
    features: list[Tensor],
    scales: Sequence[float],
    boxes: list[Tensor],
    level_of_roi: Tensor,
    output_size: tuple[int, int],
    sampling_ratio: int,
    aligned: bool = False,
) -> Tensor:
    """As ``roi_align_rows``, by torchvision's kernel level by level: the quicker one on a GPU.

    The host waits for the device once, for the number of RoIs of all levels, not once a level.
    """
    order = level_of_roi.argsort()
    num_of_level = (level_of_roi[:, None] == torch.arange(len(features), device=order.device)).sum(0).tolist()
    rois = _convert_to_roi_format(boxes)[order].split(num_of_level)
    pooled = [
        roi_align(level, own, output_size, scale, sampling_ratio, aligned)
        for level, own, scale in zip(features, rois, scales, strict=True)
    ]
    return torch.cat(pooled)[order.argsort()]


def roi_align_rows(
    features: list[Tensor],
    scales: Sequence[float],
    boxes: list[Tensor],
    level_of_roi: Tensor,
    output_size: tuple[int, int],
    sampling_ratio: int,
    aligned: bool = False,
) -> Tensor:
    """RoIAlign (He et al., 2017) of RoIs on chosen levels; differentiable in the features.

    features: per level (B, C, H_l, W_l), quickest in channels_last; boxes: per image (R_i, 4) xyxy in pixels of the
    image; level_of_roi: int64 (sum R_i,). Returns (sum R_i, C, *output_size) in channels_last.
    """
    channels, dtype = features[0].shape[1], features[0].dtype
    exact = torch.promote_types(dtype, torch.float32)  # half precision is summed in float32, as torchvision does
    pyramid = FeatureRows.of([level.to(exact) for level in features])
    height, width = pyramid.heights[level_of_roi], pyramid.widths[level_of_roi]
    image_of_roi = torch.repeat_interleave(torch.tensor([len(b) for b in boxes]))
    rois = torch.cat(boxes).detach().to(exact) * torch.tensor(scales, dtype=exact)[level_of_roi, None]
    y = _axis_shares(rois[:, 1], rois[:, 3], height, output_size[0], sampling_ratio, aligned)
    x = _axis_shares(rois[:, 0], rois[:, 2], width, output_size[1], sampling_ratio, aligned)
    image_row = pyramid.image_rows(image_of_roi, level_of_roi)
    rows, weights, counts = _cells_of_bins(y, x, image_row.int(), width.int())
    pooled = sum_rows(pyramid.table, rows, weights, counts)
    return pooled.view(len(rois), *output_size, channels).permute(0, 3, 1, 2).to(dtype)


@dataclass(frozen=True, slots=True)
class _Shares:
    """What the cells along one axis contribute to each bin: K consecutive ones at most, the unused at the end."""

    first: Tensor  # int32 (R, bins) the first of the cells
    count: Tensor  # int32 (R, bins) 0..K
    shares: Tensor  # (R, bins, K)


def _axis_shares(start: Tensor, end: Tensor, limit: Tensor, bins: int, ratio: int, aligned: bool) -> _Shares:
    """Linear interpolation at the samples of all bins along one axis, (R,) RoIs in cells, as the kernel does it.

    Its border rules: a sample more than one cell outside counts zero, nearer ones read the border cell; where not
    aligned, a RoI is at least one cell long.
    """
    start, length = (start - 0.5, end - start) if aligned else (start, (end - start).clamp(min=1))
    size = (length / bins)[:, None, None]
    num_samples = torch.full_like(size, ratio) if ratio > 0 else size.ceil().clamp(min=0)
    sample = torch.arange(max(1, int(num_samples.max()) if len(size) else 1), dtype=start.dtype)
    bin_start = start[:, None, None] + torch.arange(bins, dtype=start.dtype)[:, None] * size
    position = bin_start + (sample + 0.5) * size / num_samples.clamp(min=1)  # (R, bins, samples)
    last = limit[:, None, None].to(start.dtype) - 1
    counted = (position >= -1) & (position <= last + 1) & (sample < num_samples)
    position = position.clamp(min=0).minimum(last)
    low = position.floor()
    high, fraction = (low + 1).minimum(last), position - low
    first = torch.where(counted, low, last).amin(-1)
    count = (torch.where(counted, high, -1).amax(-1) - first + 1).clamp(min=0).int()
    shares = torch.zeros(*count.shape, max(1, int(count.max()) if len(count) else 1), dtype=start.dtype)
    for cell, share in ((low, 1 - fraction), (high, fraction)):
        place = torch.where(counted, cell - first[:, :, None], 0).long()
        shares.scatter_add_(2, place, share * counted / num_samples.clamp(min=1))
    return _Shares(first.int(), count, shares)


def _cells_of_bins(y: _Shares, x: _Shares, image_row: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All cells of all bins: int32 (N,) rows of the table, (N,) weights, and int32 (R * bins,) cells in each bin.

    A bin has ``y.count`` lines of ``x.count`` neighbouring cells. image_row, width: int32 (R,), of the RoI's level.
    """
    corner = image_row[:, None, None] + y.first[:, :, None] * width[:, None, None] + x.first[:, None]
    of_bins = [field.expand_as(corner).flatten() for field in (y.count[:, :, None], x.count[:, None])]
    places = [field.expand_as(corner).flatten() for field in (_places(y)[:, :, None], _places(x)[:, None])]
    width = width[:, None, None].expand_as(corner).flatten()
    (num_lines, line_length), (y_place, x_place), corner = of_bins, places, corner.flatten()

    bin_of_line, line_of_all, first_line = _run_through(num_lines)
    line_length_of, x_place, width = (field.index_select(0, bin_of_line) for field in (line_length, x_place, width))
    line = line_of_all - first_line.index_select(0, bin_of_line)
    line_start = corner.index_select(0, bin_of_line) + line * width
    line_weight = y.shares.flatten().index_select(0, y_place.index_select(0, bin_of_line) + line)

    line_of_cell, cell_of_all, first_cell = _run_through(line_length_of)
    rows = (line_start - first_cell).index_select(0, line_of_cell) + cell_of_all
    cell_weight = x.shares.flatten().index_select(0, (x_place - first_cell).index_select(0, line_of_cell) + cell_of_all)
    return rows, line_weight.index_select(0, line_of_cell) * cell_weight, num_lines * line_length


def _places(axis: _Shares) -> Tensor:
    """Where in the flattened shares those of each bin begin, int32 (R, bins)."""
    return torch.arange(0, axis.shares.numel(), axis.shares.shape[2], dtype=torch.int32).view(axis.first.shape)


def _run_through(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For counts 2, 0, 3: the owners 0 0 2 2 2, the numbers 0 1 2 3 4, and where each owner's begin 0 2 2."""
    owner = torch.repeat_interleave(counts)
    return owner, torch.arange(len(owner), dtype=torch.int32), counts.cumsum(0, dtype=torch.int32) - counts
