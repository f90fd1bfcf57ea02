"""Checks of PyTorch: versions that fit together, devices, and the precision that this machine is quick in."""

from __future__ import annotations

import importlib.metadata
import platform
import time

import torch
import torch.nn.functional as F

from instseg import __version__
from instseg.app.doctor_checks import GIB, Check
from instseg.core.precision import fastest_precision
from instseg.core.text import plural

PACKAGES = ("torch", "torchvision", "pytorch-lightning")
PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
SIDE = 512
SECONDS_EACH = 0.3
WORTH_IT = 1.3
"""Times as quick as the precision that is chosen, from which another one is advised."""


def check_versions() -> list[Check]:
    """Report the versions, and check that torchvision's operators load."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    ours = Check("instseg", f"{__version__}, Python {platform.python_version()}")
    try:
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    except (ImportError, RuntimeError) as error:
        remedy = "install a pair that fits: https://pytorch.org/get-started/locally"
        return [ours, Check("packages", f"{listed}: {str(error).splitlines()[0]}", remedy, prevents_training=True)]
    return [ours, Check("packages", listed)]


def check_devices() -> Check:
    """Report the devices that a training can run on."""
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return Check("devices", "; ".join(f"{gpu.name}, {gpu.total_memory / GIB:.0f} GiB" for gpu in devices))
    if torch.backends.mps.is_available():
        return Check("devices", "Apple GPU (MPS)")
    return Check(
        "devices",
        f"CPU, {plural(torch.get_num_threads(), 'thread')}; PyTorch finds no GPU",
        "if there is one: nvidia-smi, and a build of PyTorch for it. Small data trains on a CPU, too: model=small",
    )


def check_precision() -> Check:
    """Measure matrix products and convolutions in each precision, for a second or two."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    speeds = {name: _gflops(dtype, device) for name, dtype in PRECISIONS.items()}
    known = {name: speed for name, speed in speeds.items() if speed}
    found = ", ".join(f"{name} {speed:.2g}" for name, speed in known.items())
    usable = {name: speed for name, speed in known.items() if device == "cuda" or name != "16-mixed"}
    best = max(usable, key=lambda name: usable[name])
    chosen = fastest_precision(device)
    is_worth_it = usable[best] > WORTH_IT * (usable.get(chosen) or 0)
    remedy = f"quicker: trainer.precision={best}" if is_worth_it else ""
    return Check("precision", f"GFLOP/s: {found}; auto is {chosen}", remedy)


def _gflops(dtype: torch.dtype, device: str) -> float | None:
    """Return the speed of a product of matrices and a convolution; None where the device has no such operation."""
    matrix = torch.ones(SIDE, SIDE, dtype=dtype, device=device)
    image = torch.ones(1, 64, 64, 64, dtype=dtype, device=device)
    kernel = torch.ones(64, 64, 3, 3, dtype=dtype, device=device)
    operations = 2 * SIDE**3 + 2 * 64 * 64 * 9 * 64 * 64
    try:
        _run(matrix, image, kernel)
        repeats, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < SECONDS_EACH:
            _run(matrix, image, kernel)
            repeats += 1
    except RuntimeError:
        return None
    return operations * repeats / seconds / 1e9


@torch.no_grad()
def _run(matrix: torch.Tensor, image: torch.Tensor, kernel: torch.Tensor) -> None:
    torch.mm(matrix, matrix)
    F.conv2d(image, kernel, padding=1)
    if matrix.is_cuda:
        torch.cuda.synchronize()
