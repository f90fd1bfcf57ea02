"""A feature pyramid as one table with a row for each pixel of each level, for sparse reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """The pixels of a pyramid, ordered by level, image of the batch, y and x.

    Pixel (y, x) of image b on level l is row ``first_row[l] + (b * heights[l] + y) * widths[l] + x``.
    """

    table: Tensor  # (rows, C), differentiable; no level is copied twice
    heights: Tensor  # int64 (L,)
    widths: Tensor  # int64 (L,)
    first_row: Tensor  # int64 (L,)

    @classmethod
    def of(cls, levels: Sequence[Tensor]) -> FeatureRows:
        """Copy levels (B, C, H_l, W_l) into one table; fastest in channels_last."""
        batch, channels = levels[0].shape[:2]
        table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels])
        heights, widths = torch.tensor([level.shape[2:] for level in levels], device=table.device).unbind(1)
        return cls(table, heights, widths, torch.cumsum(batch * heights * widths, 0) - batch * heights * widths)

    def image_rows(self, image: Tensor, level: Tensor) -> Tensor:
        """Return the row of pixel (0, 0), int64 (R,).

        Args:
            image: int64 (R,) index in the batch.
            level: int64 (R,) index of the level.
        """
        return self.first_row[level] + image * self.heights[level] * self.widths[level]

    def patches(self, image: Tensor, level: Tensor, y: Tensor, x: Tensor, radius: int) -> tuple[Tensor, Tensor]:
        """Return the neighbourhoods of R pixels.

        Args:
            image: int64 (R,) index in the batch.
            level: int64 (R,) index of the level.
            y: int64 (R,) row of the pixel on its level.
            x: int64 (R,) column of the pixel on its level.
            radius: pixels on each side.

        Returns:
            (R, C, 2 radius + 1, 2 radius + 1), zero outside of the map like the padding of a convolution; and bool
            (R, 1, 2 radius + 1, 2 radius + 1), True on the map.
        """
        offsets = torch.arange(-radius, radius + 1, device=y.device)
        rows, columns = y[:, None] + offsets, x[:, None] + offsets  # (R, side)
        height, width = self.heights[level, None], self.widths[level, None]
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
        rows, columns = rows.clamp(min=0).minimum(height - 1), columns.clamp(min=0).minimum(width - 1)
        index = self.image_rows(image, level)[:, None, None] + rows[:, :, None] * width[:, :, None] + columns[:, None]
        values = self.table.index_select(0, index.flatten()) * inside.flatten()[:, None]
        return values.view(*index.shape, -1).permute(0, 3, 1, 2), inside[:, None]
