"""Non-maximum suppression for the graphs that are exported, as ``core.segmenter.Suppression`` says.

No format gets the boxes of all groups at once, moved apart: in float32 that shifts them by up to a hundredth of a
pixel, and each box is compared with those of all groups. On 90,000 candidates that took most of the time of a network.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torchvision.ops import nms


def suppress_in_torch(
    boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, limit: int
) -> Tensor:
    """Suppress in torchvision's operator, exactly: in float64 the groups can be moved apart.

    Args:
        boxes: float32 (G, N, 4) xyxy.
        scores: (G, N).
        iou_threshold: a box is suppressed by a better one of its group with a higher IoU.
        score_threshold: boxes that do not exceed it are left out.
        limit: unused.

    Returns:
        Rows counted over all groups, int64 (S,).
    """
    flat = scores.flatten()
    (rows,) = torch.where(flat > score_threshold)
    apart = (rows // scores.shape[1])[:, None] * (boxes.amax().double() + 1)
    return rows[nms(boxes.flatten(0, 1)[rows].double() + apart, flat[rows].double(), iou_threshold)]


def suppress_in_onnx(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, limit: int) -> Tensor:
    """Suppress in one ``NonMaxSuppression`` of ONNX, whose batch is the groups and which ends at the limit.

    Args:
        boxes: float32 (G, N, 4) xyxy.
        scores: (G, N).
        iou_threshold: a box is suppressed by a better one of its group with a higher IoU.
        score_threshold: boxes that do not exceed it are left out.
        limit: boxes that are kept of each group at most.

    Returns:
        Rows counted over all groups, int64 (S,).
    """
    kept: Tensor = _OnnxSuppression.apply(boxes, scores, iou_threshold, score_threshold, limit)
    return kept


class _Node(Protocol):
    """A value in the graph of the exporter."""


class _Graph(Protocol):
    """The graph of the exporter, to which an operator is added."""

    def op(self, name: str, *inputs: _Node, **attributes: object) -> _Node: ...


class _OnnxSuppression(torch.autograd.Function):
    """``suppress_in_torch``, for which the exporter writes ONNX's operator."""

    @staticmethod
    def forward(
        ctx: object, boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, limit: int
    ) -> Tensor:
        return suppress_in_torch(boxes, scores, iou_threshold, score_threshold, limit)

    @staticmethod
    def symbolic(
        graph: _Graph, boxes: _Node, scores: _Node, iou_threshold: float, score_threshold: float, limit: int
    ) -> _Node:
        def constant(value: float | list[int], dtype: torch.dtype = torch.int64) -> _Node:
            return graph.op("Constant", value_t=torch.tensor(value, dtype=dtype))

        thresholds = (constant(threshold, torch.float32) for threshold in (iou_threshold, score_threshold))
        of_one_class = graph.op("Unsqueeze", scores, constant([1]))
        chosen = graph.op("NonMaxSuppression", boxes, of_one_class, constant(limit), *thresholds)
        group, row = (graph.op("Gather", chosen, constant(column), axis_i=1) for column in (0, 2))
        size = graph.op("Gather", graph.op("Shape", scores), constant(1), axis_i=0)
        return graph.op("Add", graph.op("Mul", group, size), row)
