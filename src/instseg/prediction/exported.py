"""Exported models, loaded to predict: one file holds the network and all that predicting needs. Imports no torch.

The network goes from one image to what is found on it, in the network frame; the resize before it and the drawing of
masks after it are those of every model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from instseg.checkpoints.operating_points import OperatingPoints
from instseg.checkpoints.scales import Scales
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.files import home_path
from instseg.core.found import Found, found_to_prediction
from instseg.core.precision import FLOAT32
from instseg.core.records import Record, parse_record
from instseg.core.types import Image, ImageSize, Prediction, ValueRange
from instseg.prediction.export_formats import FormatName

METADATA = "instseg"
"""The key in the metadata of a file under which its record stands."""
INPUT, OUTPUTS = "image", ("boxes", "labels", "scores", "masks")
REMEDY = "export it again: instseg export checkpoint=…"
SIGNATURE = (
    "image: uint8 (height, width, 3) RGB after the resize to min_size and max_size; boxes: float32 (N, 4) x1, y1, x2, "
    "y2 in pixels of that image; labels: int64 (N,), from 1; scores: float32 (N,), falling; masks: float32 (N, m, m), "
    "probabilities within each box"
)

Side = Annotated[int, msgspec.Meta(ge=1, le=2**16)]
Run = Callable[[Image], Sequence[NDArray[np.generic]]]
"""Runs the network on one image (H, W, 3) uint8 RGB in the network frame; the arrays of ``OUTPUTS``."""


class Candidates(msgspec.Struct, frozen=True):
    """The suppression of a network that is left to whoever predicts with its file."""

    iou_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]  # of boxes of one category
    per_image: Annotated[int, msgspec.Meta(ge=1)]


class ExportRecord(Record, frozen=True, kw_only=True):
    """All that an exported file says about itself."""

    written_by: str  # version of instseg
    format: FormatName
    quantized: Literal["int8"] | None = None
    signature: str = SIGNATURE
    categories: list[str]
    min_size: Side  # px of the shorter side of an image in the network
    max_size: Side  # px that its longer side may have there
    value_range: ValueRange | None = None  # of images of 16 bits; None: each by the range that it uses
    operating_points: OperatingPoints | None = None
    scales: Scales | None = None  # of the training images
    candidates: Candidates | None = None  # None: the file holds the suppression
    origin: dict[str, object] = msgspec.field(default_factory=dict)  # checkpoint, run, epoch and how good it was


@dataclass(frozen=True, slots=True)
class Opened:
    """A file in its runtime."""

    metadata: str | None
    """The text under ``METADATA``."""
    run: Run
    device: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime of a kind of files."""

    module: str
    """Its adapter, which has ``open_file(path, device, precision) -> Opened``; imported when it is needed."""
    install: str
    """The argument of ``pip install`` that installs it."""


RUNTIMES: Mapping[str, Runtime] = {
    ".onnx": Runtime("instseg.prediction.onnx_file", '"instseg[onnx]"'),
    ".xml": Runtime("instseg.prediction.openvino_file", '"instseg[openvino]"'),
    ".pt2": Runtime("instseg.prediction.pt2_file", "torch torchvision"),
}
"""Suffix -> what runs such a file."""


class ExportedNetwork:
    """A network from a file, which predicts one image at a time.

    Args:
        opened: the file.
        categories: names of its labels 1....
    """

    def __init__(self, opened: Opened, categories: Categories) -> None:
        self._run, self._device, self._categories = opened.run, opened.device, categories

    @property
    def categories(self) -> Categories:
        """Names of its labels 1...."""
        return self._categories

    @property
    def device(self) -> str:
        """The device and the runtime, for people."""
        return self._device

    def predict(
        self, images: Sequence[Image], image_ids: Sequence[int], original_sizes: Sequence[ImageSize]
    ) -> list[Prediction]:
        """Predict on images in the network frame, as ``prediction.predictor.Network`` says.

        Args:
            images: (H_i, W_i, 3) uint8 RGB.
            image_ids: one for each image.
            original_sizes: (height, width) px of each image before the resize.
        """
        every = zip(images, image_ids, original_sizes, strict=True)
        return [found_to_prediction(self.find(image), image.shape[:2], number, size) for image, number, size in every]

    def find(self, image: Image) -> Found:
        """Return what is on an image (H, W, 3) uint8 RGB, all in the network frame."""
        boxes, labels, scores, masks = self._run(np.ascontiguousarray(image))
        return Found(
            boxes.astype(np.float32, copy=False),
            labels.astype(np.int64, copy=False),
            scores.astype(np.float32, copy=False),
            masks.astype(np.float32, copy=False),
        )


def exported_file(where: str | None) -> Path | None:
    """Return the exported file that ``checkpoint=`` names; None where it names something else.

    Raises:
        InstsegError: the file is not there.
    """
    path = home_path(where) if where else None
    if path is None or path.suffix not in RUNTIMES or path.is_dir():
        return None
    if not path.is_file():
        raise InstsegError(f"checkpoint={where}: no such file")
    return path


def open_exported(path: Path, device: str, precision: str = FLOAT32) -> tuple[ExportedNetwork, ExportRecord]:
    """Open an exported file.

    Args:
        path: its suffix says which runtime it needs.
        device: auto, cpu, or what the runtime offers besides.
        precision: 32-true, or bf16-mixed where the runtime has it.

    Raises:
        InstsegError: the runtime is not installed, or the file is damaged or was not exported by this package.
    """
    opened = open_in_runtime(path, device, precision)
    if opened.metadata is None:
        raise InstsegError(f"{path}: expected a model that instseg export has written, found one without its record")
    record = parse_record(opened.metadata, ExportRecord, f"{path}, metadata {METADATA}", REMEDY)
    return ExportedNetwork(opened, Categories(tuple(record.categories))), record


def open_in_runtime(path: Path, device: str, precision: str = FLOAT32) -> Opened:
    """Open a file in the runtime of its suffix, without a look at its record.

    Args:
        path: of the file.
        device: auto, cpu, or what the runtime offers besides.
        precision: as of ``open_exported``.

    Raises:
        InstsegError: the runtime is not installed, or the file is damaged.
    """
    runtime = RUNTIMES[path.suffix]
    try:
        adapter = importlib.import_module(runtime.module)
    except ImportError as error:
        raise InstsegError(f"{path.name}: {error.name} is not installed: pip install {runtime.install}") from error
    opened: Opened = adapter.open_file(path, device, precision)
    return opened
