"""ONNX files in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.core.types import Image
from instseg.prediction.exported import INPUT, METADATA, OUTPUTS, REMEDY, Opened

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ERRORS_ONLY = 3


def open_file(path: Path, device: str, precision: str) -> Opened:
    """Open an ONNX file.

    Args:
        path: the file.
        device: cpu; cuda where onnxruntime is built for it; auto is the better of both.
        precision: 32-true alone.

    Raises:
        InstsegError: the file cannot be read, or onnxruntime has no such device or precision.
    """
    if precision != FLOAT32:
        raise InstsegError(f"precision={precision}: onnxruntime computes {path.name} as it was exported; leave it out")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait sleep, as PyTorch's do
    provider = _provider(device)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=list(dict.fromkeys([provider, CPU])))
    except Exception as error:  # of a class for each code of onnxruntime's
        raise InstsegError(f"{path} cannot be read by onnxruntime: {str(error).splitlines()[0]}; {REMEDY}") from error

    def run(image: Image) -> Sequence[NDArray[np.generic]]:
        found: Sequence[NDArray[np.generic]] = session.run(list(OUTPUTS), {INPUT: image})
        return found

    metadata = session.get_modelmeta().custom_metadata_map.get(METADATA)
    return Opened(metadata, run, "cpu" if provider == CPU else "cuda")


def _provider(device: str) -> str:
    available = onnxruntime.get_available_providers()
    if device == "cpu" or (device == "auto" and CUDA not in available):
        return CPU
    if device in ("auto", "cuda") and CUDA in available:
        return CUDA
    raise InstsegError(f"device={device}: onnxruntime here has {', '.join(available)}; use device=cpu")
