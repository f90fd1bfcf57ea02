"""The numeric precision that a device is fastest in without losing accuracy. Imports no torch until it is asked."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FLOAT32, BFLOAT16 = "32-true", "bf16-mixed"
"""Names of Lightning. The second keeps the weights in float32 and multiplies in bfloat16."""
BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


def fastest_precision(device_type: str) -> str:
    """Return bfloat16 where a device multiplies in it, float32 elsewhere.

    A CPU without such instructions computes in bfloat16 as well, several times slower than in float32; a GPU before
    Ampere does no better.

    Args:
        device_type: cpu, cuda or another one of PyTorch's; of cuda, it is the current device.
    """
    return BFLOAT16 if multiplies_bfloat16(device_type) else FLOAT32


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context in which a network computes in a precision.

    Args:
        device: of the network.
        precision: ``32-true`` or ``bf16-mixed``.
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16) if precision == BFLOAT16 else nullcontext()


def multiplies_bfloat16(device_type: str) -> bool:
    """Tell whether a device has instructions that multiply in bfloat16; false for all but CPUs and NVIDIA's GPUs."""
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type == "cpu":
        known = torch.cpu.get_capabilities()
        return any(known.get(name) for name in BFLOAT16_INSTRUCTIONS)
    return False
