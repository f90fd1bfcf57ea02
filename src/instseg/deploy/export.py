"""A trained network as a file of another format: nothing is kept that was not compared with the network in PyTorch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from instseg import __version__
from instseg.checkpoints.content import TrainedModel
from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.core.segmenter import as_exportable
from instseg.core.types import Image
from instseg.deploy.agreement import TRAINED, Agreement, Limits, compare
from instseg.deploy.formats import FORMATS
from instseg.deploy.gain import Gain, measure_gain, size_of
from instseg.deploy.measured import ApComparison
from instseg.prediction.export_formats import FormatName
from instseg.prediction.exported import Candidates, ExportRecord, open_exported
from instseg.prediction.predictor import Network
from instseg.prediction.torch_network import TorchNetwork

NO_AP = (
    "no test images to measure what it loses on; export with the data of the checkpoint, or accept any loss with "
    "max_ap_loss=null"
)
MeasureAp = Callable[[Network, Network], ApComparison]
"""Measures the AP of the network in PyTorch and of the exported one."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and how it compares with the network in PyTorch."""

    path: Path
    record: ExportRecord
    num_bytes: int
    """Of all its files."""
    agreements: list[Agreement]
    ap: ApComparison | None = None
    """None where no test images were at hand, or none were asked for."""
    gain: Gain | None = None
    """Of int8; None in float32."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The images that an exported file is compared on."""

    images: Sequence[tuple[str, Image]]
    """Names, and uint8 RGB (H, W, 3) in the network frame."""
    measure_ap: MeasureAp | None = None
    limits: Limits = TRAINED


@dataclass(frozen=True, slots=True)
class Int8:
    """The settings of an export in int8."""

    calibration: Sequence[Image]
    """uint8 RGB (H, W, 3) in the network frame, from which the ranges of values are measured."""
    max_ap_loss: float | None
    """AP on the test images that it may lose; None accepts any loss."""


def export(
    trained: TrainedModel,
    name: FormatName,
    path: Path,
    comparison: Comparison,
    int8: Int8 | None = None,
    candidates: Candidates | None = None,
) -> Exported:
    """Write a trained network as a file, after it was compared with the network in PyTorch.

    Args:
        trained: the network.
        name: of the format.
        path: of the file; what lies there is replaced once the new file is known to be good.
        comparison: what it is compared on.
        int8: for a file in int8; None for float32.
        candidates: the suppression that the network leaves to others; None: it has its own.

    Raises:
        InstsegError: the network cannot be exported, or the exported one finds something else; no file is left.
    """
    if int8 is not None and int8.max_ap_loss is not None and comparison.measure_ap is None:
        raise InstsegError(f"quantize=int8: {NO_AP}")
    record = msgspec.structs.replace(_record(trained, name, int8), candidates=candidates)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        scratch = Path(folder) / path.name
        gain = _write(trained, record, scratch, int8)
        reference = TorchNetwork(trained.model, "cpu", FLOAT32)
        found, _ = open_exported(scratch, "cpu")
        agreements = compare_networks(reference, found, comparison)
        ap = comparison.measure_ap(reference, found) if comparison.measure_ap else None
        if int8 is None:
            refuse_if_different(path, agreements, ap)
        else:
            refuse_if_worse(path, ap, int8.max_ap_loss)
        num_bytes = size_of(scratch.parent)
        for file in sorted(Path(folder).iterdir()):
            file.replace(path.parent / file.name)
    return Exported(path, record, num_bytes, agreements, ap, gain)


def _record(trained: TrainedModel, name: FormatName, int8: Int8 | None) -> ExportRecord:
    return ExportRecord(
        written_by=__version__,
        format=name,
        quantized=None if int8 is None else "int8",
        categories=list(trained.categories.names),
        min_size=trained.min_size,
        max_size=trained.max_size,
        value_range=trained.value_range,
        operating_points=trained.operating_points,
        scales=trained.scales,
        origin=trained.identity,
    )


def _write(trained: TrainedModel, record: ExportRecord, path: Path, int8: Int8 | None) -> Gain | None:
    """Write the file; one in int8 is made of one in float32, which it is measured beside."""
    network, chosen = as_exportable(trained.model), FORMATS[record.format]
    if int8 is None:
        chosen.write.load()(network, record, path)
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / path.name
        chosen.write.load()(network, record, source)
        chosen.quantizer(record.format).load()(source, int8.calibration, record, path)
        return measure_gain(source, path, int8.calibration[0])


def compare_networks(reference: Network, found: Network, comparison: Comparison) -> list[Agreement]:
    """Compare what two networks find on each image.

    Args:
        reference: in PyTorch.
        found: the exported one.
        comparison: the images.
    """
    agreements = []
    for name, image in comparison.images:
        expected, got = (network.predict([image], [0], [image.shape[:2]])[0] for network in (reference, found))
        agreements.append(compare(name, expected, got, comparison.limits))
    return agreements


def refuse_if_different(path: Path, agreements: Sequence[Agreement], ap: ApComparison | None) -> None:
    """Raise InstsegError for a file that finds something else than the network in PyTorch.

    Args:
        path: of the file, for the message.
        agreements: of all images.
        ap: of both, where it was measured.
    """
    problems = [agreement.problem for agreement in agreements if agreement.problem]
    if ap is not None and not ap.is_close:
        problems.append(f"test AP {ap.reference:.4f} in PyTorch, {ap.found:.4f} exported")
    if problems:
        raise InstsegError(f"{path.name} is not written, it finds something else than PyTorch; {'; '.join(problems)}")


def refuse_if_worse(path: Path, ap: ApComparison | None, max_ap_loss: float | None) -> None:
    """Raise InstsegError for a file in int8 that loses more AP than it may.

    Args:
        path: of the file, for the message.
        ap: of PyTorch and of the file.
        max_ap_loss: that is accepted; None accepts any.
    """
    if ap is None or max_ap_loss is None or ap.reference - ap.found <= max_ap_loss:
        return
    raise InstsegError(
        f"{path.name} is not written, it loses more than max_ap_loss={max_ap_loss}: test AP {ap.reference:.4f} in "
        f"PyTorch, {ap.found:.4f} in int8, a difference of {ap.difference}; a higher max_ap_loss accepts it, null any"
    )
