"""Weighted sums of the rows of a table, whose gradient is computed as weighted sums, too."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from instseg.models.autograd_context import Context


class _Context(Context, Protocol):
    num_rows: int


def sum_rows(table: Tensor, rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
    """Return the weighted sum of the rows of each of B bags, on the CPU; differentiable in the table.

    Args:
        table: (T, C) float.
        rows: (N,) int32 or int64 rows of the table, bag by bag.
        weights: (N,) of the dtype of the table; they get no gradient.
        counts: (B,) number of rows in each bag, N in all; of the dtype of ``rows``.

    Returns:
        (B, C); zeros for an empty bag.
    """
    summed: Tensor = _SumRows.apply(table, rows, weights, counts)
    return summed


class _SumRows(torch.autograd.Function):
    """``embedding_bag`` with a gradient four times faster than torch's.

    The gradient of a row is a weighted sum of the gradients of bags: another ``embedding_bag``, over entries ordered by
    row. It writes each row once; torch fills the table with zeros and adds to a row at each use.
    """

    @staticmethod
    def forward(ctx: _Context, table: Tensor, rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights, counts)
        ctx.num_rows = len(table)
        return _sum(table, rows, weights, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        rows, weights, counts = ctx.saved_tensors
        order = rows.sort(stable=True)[1]  # stable, because only that one sorts by radix
        bag_of_entry = torch.repeat_interleave(counts).index_select(0, order)
        counts_of_rows = torch.bincount(rows, minlength=ctx.num_rows).to(counts.dtype)
        return (
            _sum(gradient.contiguous(), bag_of_entry, weights.index_select(0, order), counts_of_rows),
            None,
            None,
            None,
        )


def _sum(table: Tensor, rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
    starts = counts.cumsum(0, dtype=counts.dtype) - counts
    return F.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=weights)
