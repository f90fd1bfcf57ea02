"""OpenVINO's files, an .xml with its .bin, in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import openvino
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.precision import BFLOAT16, FLOAT32
from instseg.core.types import Image
from instseg.prediction.exported import INPUT, METADATA, OUTPUTS, REMEDY, Opened

CPU = "CPU"
HINTS: Mapping[str, str] = {FLOAT32: "f32", BFLOAT16: "bf16"}
"""Precision -> its name in OpenVINO."""


def open_file(path: Path, device: str, precision: str) -> Opened:
    """Open a model of OpenVINO.

    Args:
        path: the .xml; its .bin lies beside it.
        device: cpu or another one of OpenVINO's, such as gpu; auto is the CPU, on which the file was compared.
        precision: 32-true; bf16-mixed where the device multiplies in it.

    Raises:
        InstsegError: the file cannot be read, or there is no such device or precision.
    """
    core = openvino.Core()
    chosen = _device(core, device)
    _check_precision(core, chosen, precision)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]}
    try:
        model = core.read_model(path)
        compiled = core.compile_model(model, chosen, options)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InstsegError(f"{path} cannot be read by OpenVINO: {reason}; {REMEDY}") from error
    request, one_at_a_time = compiled.create_infer_request(), Lock()

    def run(image: Image) -> Sequence[NDArray[np.generic]]:
        with one_at_a_time:
            found = request.infer({INPUT: image}, share_inputs=True)
        return [found[name] for name in OUTPUTS]

    metadata = model.get_rt_info(METADATA).astype(str) if model.has_rt_info(METADATA) else None
    return Opened(metadata, run, chosen.lower())


def _device(core: openvino.Core, asked: str) -> str:
    if asked == "auto":
        return CPU
    available = core.available_devices
    if asked.upper() not in available:
        raise InstsegError(f"device={asked}: OpenVINO here has {', '.join(available).lower()}")
    return asked.upper()


def _check_precision(core: openvino.Core, device: str, precision: str) -> None:
    """Refuse bf16 where the device has none: OpenVINO would compute in float32 and say nothing."""
    if precision == BFLOAT16 and "BF16" not in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        raise InstsegError(f"precision={precision}: {device.lower()} multiplies in float32 alone; leave it out")
