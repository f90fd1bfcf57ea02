"""ONNX files from networks in PyTorch."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import onnx
import torch

from instseg.core.errors import InstsegError
from instseg.core.records import format_record
from instseg.core.segmenter import Exportable
from instseg.deploy.suppression import suppress_in_onnx
from instseg.prediction.exported import INPUT, METADATA, OUTPUTS, ExportRecord

OPSET = 17
EXAMPLE_SIZE = (160, 224)
"""(height, width) px of the image that the network is traced with; the file takes any."""


def write_onnx(network: Exportable, record: ExportRecord, path: Path) -> None:
    """Write a network as one ONNX file, its record in the metadata.

    PyTorch's exporter that traces is used: it takes a tenth of the time of the one on ``torch.export``, and keeps the
    height and width of the image open without a condition on them.

    Args:
        network: in evaluation mode, on the CPU.
        record: of the file.
        path: of the file.

    Raises:
        InstsegError: a part of the network has no counterpart in ONNX.
    """
    graph = network.as_graph(suppress_in_onnx).eval()
    dynamic = {INPUT: {0: "height", 1: "width"}, **{name: {0: "instances"} for name in OUTPUTS}}
    example = torch.zeros(*EXAMPLE_SIZE, 3, dtype=torch.uint8)
    said = io.StringIO()  # the exporter prints the whole graph before it fails
    try:
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(said):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_axes=dynamic,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InstsegError(f"the network cannot be exported to ONNX: {reason}") from error
    _add_record(path, record)


def _add_record(path: Path, record: ExportRecord) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA: format_record(record)})
    onnx.checker.check_model(model)
    onnx.save(model, path)
