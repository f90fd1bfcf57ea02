"""The formats that a network can be exported to."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from instseg.core.errors import InstsegError
from instseg.core.segmenter import Exportable
from instseg.core.types import Image
from instseg.prediction.exported import ExportRecord


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


class Quantize(Protocol):
    """Rewrites a file in int8."""

    def __call__(self, source: Path, images: Sequence[Image], record: ExportRecord, path: Path) -> None:
        """Write it.

        Args:
            source: the file of the same format in float32; not changed.
            images: uint8 RGB (H, W, 3) in the network frame, from which the ranges of values are measured.
            record: of the new file.
            path: of the new file.
        """
        ...


Function = TypeVar("Function", Write, Quantize)


@dataclass(frozen=True, slots=True)
class Lazy(Generic[Function]):
    """A function that is imported when it is needed."""

    module: str
    name: str
    packages: tuple[str, ...] = ()
    """Packages that it needs besides those of every installation."""
    extra: str = ""
    """The extra of this package that installs them."""

    def check_installed(self, setting: str) -> None:
        """Raise InstsegError where a package is missing, with the command that installs it."""
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise InstsegError(f'{setting}: {" and ".join(missing)} not installed: pip install "instseg[{self.extra}]"')

    def load(self) -> Function:
        """Import it."""
        function: Function = getattr(importlib.import_module(self.module), self.name)
        return function


@dataclass(frozen=True, slots=True)
class Format:
    """A format."""

    suffix: str
    write: Lazy[Write]
    quantize: Lazy[Quantize] | None = None
    """None where the format has no int8."""

    def check_installed(self, name: str, in_int8: bool = False) -> None:
        """Check that what writes a format is installed.

        Args:
            name: of the format.
            in_int8: true where it is asked for.

        Raises:
            InstsegError: a package is missing, or the format has no int8.
        """
        self.write.check_installed(f"format={name}")
        if in_int8:
            self.quantizer(name).check_installed("quantize=int8")

    def quantizer(self, name: str) -> Lazy[Quantize]:
        """Return what rewrites a file in int8.

        Raises:
            InstsegError: the format has no int8.
        """
        if self.quantize is None:
            having = [other for other, kind in FORMATS.items() if kind.quantize is not None]
            raise InstsegError(f"quantize=int8: format={name} has none; use format={' or '.join(having)}")
        return self.quantize


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", Lazy("instseg.deploy.onnx_writer", "write_onnx", ("onnx", "onnxruntime"), "onnx")),
    "openvino": Format(
        ".xml",
        Lazy("instseg.deploy.openvino_writer", "write_openvino", ("onnx", "openvino"), "openvino"),
        Lazy("instseg.deploy.openvino_int8", "quantize_openvino", ("nncf",), "int8"),
    ),
    "torch_export": Format(".pt2", Lazy("instseg.deploy.torch_export_writer", "write_torch_export")),
}
"""Name -> format."""
