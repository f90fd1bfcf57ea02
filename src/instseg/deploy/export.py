"""A trained network as a file of another format: nothing is kept that was not compared with the network in PyTorch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg import __version__
from instseg.checkpoints.content import TrainedModel
from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.core.segmenter import as_exportable
from instseg.core.types import Image
from instseg.deploy.agreement import MIN_MASK_IOU, Agreement, compare
from instseg.deploy.formats import FORMATS, FormatName
from instseg.deploy.measured import ApComparison
from instseg.prediction.exported import ExportRecord, open_exported
from instseg.prediction.predictor import Network
from instseg.prediction.torch_network import TorchNetwork

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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The images that an exported file is compared on."""

    images: Iterable[tuple[str, Image]]
    """Names, and uint8 RGB (H, W, 3) in the network frame."""
    measure_ap: MeasureAp | None = None
    min_mask_iou: float = MIN_MASK_IOU


def export(trained: TrainedModel, name: FormatName, path: Path, comparison: Comparison) -> Exported:
    """Write a trained network as a file, after it was compared with the network in PyTorch.

    Args:
        trained: the network.
        name: of the format.
        path: of the file; what lies there is replaced once the new file is known to be good.
        comparison: what it is compared on.

    Raises:
        InstsegError: the network cannot be exported, or the exported one finds something else; no file is left.
    """
    record = ExportRecord(
        written_by=__version__,
        format=name,
        categories=list(trained.categories.names),
        min_size=trained.min_size,
        max_size=trained.max_size,
        operating_points=trained.operating_points,
        origin=trained.identity,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        scratch = Path(folder) / path.name
        reference = TorchNetwork(trained.model, "cpu", FLOAT32)
        FORMATS[name].writer()(as_exportable(trained.model), record, scratch)
        found, _ = open_exported(scratch, "cpu")
        agreements = compare_networks(reference, found, comparison)
        ap = comparison.measure_ap(reference, found) if comparison.measure_ap else None
        refuse_if_different(path, agreements, ap)
        files = sorted(Path(folder).iterdir())
        num_bytes = sum(file.stat().st_size for file in files)
        for file in files:
            file.replace(path.parent / file.name)
    return Exported(path, record, num_bytes, agreements, ap)


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
        agreements.append(compare(name, expected, got, comparison.min_mask_iou))
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
