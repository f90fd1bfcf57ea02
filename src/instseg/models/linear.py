"""The product of a matrix and a weight, by the faster of the two libraries that torch has for it on a CPU.

``torch.mm`` calls MKL, which runs its AVX2 code on AMD's processors even where they have AVX-512; oneDNN, which torch
uses for convolutions, does not. On one with AVX-512 its product takes half of the time, which is a tenth of a training
step: the box head's first layer is the largest matrix of the network.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As ``F.linear``: x (R, K), weight (O, K), bias (O,) -> (R, O); equal to float tolerance, gradients too."""
    is_usual = len(x) and x.device.type == "cpu" and x.dtype == torch.float32
    if is_usual and _onednn_is_faster() and not torch.is_autocast_enabled("cpu"):
        product: Tensor = _Product.apply(x, weight)
        return product + bias
    return F.linear(x, weight, bias)


def has_onednn() -> bool:
    """Whether this build of torch has oneDNN's product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]


@cache
def _onednn_is_faster() -> bool:
    return has_onednn() and "AuthenticAMD" in _processor() and "AVX512" in torch.backends.cpu.get_cpu_capability()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text() if cpuinfo.is_file() else platform.processor()


class _Product(torch.autograd.Function):
    """x @ weight.T; the transposed factors of its gradients are read where they lie."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = ctx.needs_input_grad
        return (
            _onednn(gradient, weight.T) if of_x else None,
            _onednn(gradient.T, x.T) if of_weight else None,
        )


def _onednn(a: Tensor, b: Tensor) -> Tensor:
    """(R, K) and (O, K) -> a @ b.T: what compiled models call for their linear layers."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return product
