"""Files of ``torch.export`` from networks in PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from instseg.core.errors import InstsegError
from instseg.core.records import format_record
from instseg.core.segmenter import Exportable
from instseg.deploy.onnx_writer import EXAMPLE_SIZE
from instseg.deploy.suppression import suppress_in_torch
from instseg.prediction.exported import METADATA, ExportRecord

MAX_SIDE = 20000


def write_torch_export(network: Exportable, record: ExportRecord, path: Path) -> None:
    """Write a network as a program of ``torch.export``, its record among the extra files.

    Args:
        network: in evaluation mode, on the CPU.
        record: of the file.
        path: of the .pt2.

    Raises:
        InstsegError: a part of the network cannot be followed.
    """
    graph = network.as_graph(suppress_in_torch).eval()
    height, width = (torch.export.Dim(side, max=MAX_SIDE) for side in ("height", "width"))
    example = torch.zeros(*EXAMPLE_SIZE, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                graph,
                (example,),
                dynamic_shapes=({0: height, 1: width},),
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            _open_sizes(program.graph)
            _forget_origin(program)
            torch.export.save(program, path, extra_files={METADATA: format_record(record)})
    except Exception as error:  # of any class: it runs the network with values of its own
        reason = str(error).strip().splitlines()[0]
        raise InstsegError(f"the network cannot be exported by torch.export: {reason}") from error


def _open_sizes(graph: torch.fx.Graph) -> None:
    """Remove what holds the sizes to those that the tracer took for granted, such as a side of more than 64 px.

    It concludes on strides that way; the operators look at their tensors anew, whatever their size.
    """
    for node in graph.nodes:
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _forget_origin(program: torch.export.ExportedProgram) -> None:
    """Remove the inputs of the example, which would be pickled, and the places in the source, files of this machine."""
    program.example_inputs = None
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "torch_fn", "source_fn_stack", "from_node", "custom"):
            node.meta.pop(key, None)
