"""The formats that a network can be exported to."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from instseg.core.errors import InstsegError
from instseg.core.segmenter import Exportable
from instseg.prediction.exported import ExportRecord

FormatName = Literal["onnx", "openvino", "torch_export"]


class Write(Protocol):
    """Writes a network as a file."""

    def __call__(self, network: Exportable, record: ExportRecord, path: Path) -> None:
        """Write it.

        Args:
            network: in evaluation mode, on the CPU.
            record: of the file.
            path: of the file; others of its name and another suffix may be written beside it.

        Raises:
            InstsegError: a part of the network has no counterpart in the format.
        """
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format."""

    suffix: str
    module: str
    """Of its writer, imported when it is needed."""
    function: str
    packages: tuple[str, ...]
    """Packages that it needs besides those of every installation."""
    extra: str
    """The extra of this package that installs them."""

    def check_installed(self, name: str) -> None:
        """Raise InstsegError where a package is missing, with the command that installs it."""
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise InstsegError(
                f'format={name}: {" and ".join(missing)} not installed: pip install "instseg[{self.extra}]"'
            )

    def writer(self) -> Write:
        """Return the function that writes it."""
        write: Write = getattr(importlib.import_module(self.module), self.function)
        return write


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", "instseg.deploy.onnx_writer", "write_onnx", ("onnx", "onnxruntime"), "onnx"),
    "openvino": Format(".xml", "instseg.deploy.openvino_writer", "write_openvino", ("onnx", "openvino"), "openvino"),
}
"""Name -> format."""
