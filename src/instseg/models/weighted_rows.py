"""Weighted sums of a table's rows, with a gradient that is computed the same way as the sums."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def sum_rows(table: Tensor, rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
    """(B, C): for each of B bags the weighted sum of its rows; zeros for an empty bag. CPU; differentiable in table.

    table: (T, C) float; rows: (N,) of the table, bag after bag; weights: (N,) of the table's type, without gradient;
    counts: (B,) rows in each bag, N altogether. rows and counts are int32 or int64, both the same.
    """
    summed: Tensor = _SumRows.apply(table, rows, weights, counts)
    return summed


class _SumRows(torch.autograd.Function):
    """``embedding_bag`` with a gradient that costs no more: a quarter of torch's.

    The gradient of a row is a weighted sum of bags' gradients, another ``embedding_bag``, over the entries ordered by
    row. It writes every row once, where torch's own fills the table with zeros and adds to a row at each use.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights, counts)
        ctx.num_rows = len(table)
        return _sum(table, rows, weights, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        rows, weights, counts = ctx.saved_tensors
        order = rows.sort(stable=True)[1]  # by radix, which is not to be had unstable
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
