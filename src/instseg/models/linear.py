"""Matrix products by the faster of the two libraries that torch has for them on a CPU.

``torch.mm`` calls MKL, which runs its AVX2 code on AMD processors even if they have AVX-512; oneDNN, which torch uses
for convolutions, runs its AVX-512 code. There its product takes half the time, which saves a tenth of a training step:
the first layer of the box head is the largest matrix of the network.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torchvision import _is_tracing

from instseg.models.autograd_context import Context


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute ``F.linear``, equal to float tolerance, as are the gradients.

    Args:
        x: (R, K).
        weight: (O, K).
        bias: (O,).

    Returns:
        (R, O).
    """
    if _is_tracing() or torch.compiler.is_exporting():
        return F.linear(x, weight, bias)
    is_usual = len(x) and x.device.type == "cpu" and x.dtype == torch.float32
    if is_usual and _onednn_is_faster() and not torch.is_autocast_enabled("cpu"):
        product: Tensor = _Product.apply(x, weight)
        return product + bias
    return F.linear(x, weight, bias)


def has_onednn() -> bool:
    """Tell whether this build of torch has oneDNN's product."""
    is_available: Callable[[], bool] = torch.backends.mkldnn.is_available
    return is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def _onednn_is_faster() -> bool:
    return has_onednn() and "AuthenticAMD" in _processor() and "AVX512" in torch.backends.cpu.get_cpu_capability()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text() if cpuinfo.is_file() else platform.processor()


class _Product(torch.autograd.Function):
    """x @ weight.T; the transposed factors of its gradients are not copied."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = ctx.needs_input_grad
        return (
            _onednn(gradient, weight.T) if of_x else None,
            _onednn(gradient.T, x.T) if of_weight else None,
        )


def _onednn(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b.T of (R, K) and (O, K), by the call that compiled models use for linear layers."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return product
