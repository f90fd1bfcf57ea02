"""OpenVINO's files from networks in PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import openvino

from instseg.core.records import format_record
from instseg.core.segmenter import Exportable
from instseg.deploy.onnx_writer import write_onnx
from instseg.prediction.exported import METADATA, ExportRecord


def write_openvino(network: Exportable, record: ExportRecord, path: Path) -> None:
    """Write a network as an .xml, its record within, and a .bin of its weights.

    The graph is that of the ONNX file, whose suppression ends at the limit: OpenVINO has the same operator.

    Args:
        network: in evaluation mode, on the CPU.
        record: of the file.
        path: of the .xml.

    Raises:
        InstsegError: a part of the network has no counterpart in ONNX.
    """
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        write_onnx(network, record, onnx)
        convert_onnx(onnx, record, path)


def convert_onnx(onnx: Path, record: ExportRecord, path: Path) -> None:
    """Write an ONNX file anew for OpenVINO.

    Args:
        onnx: the file; not changed.
        record: of the new file.
        path: of the .xml.
    """
    save(openvino.Core().read_model(onnx), record, path)


def save(model: openvino.Model, record: ExportRecord, path: Path) -> None:
    """Save a model with its record, its weights as they are: OpenVINO would round them to float16.

    Args:
        model: the graph.
        record: of the file.
        path: of the .xml.
    """
    model.set_rt_info(format_record(record), METADATA)
    openvino.save_model(model, path, compress_to_fp16=False)
