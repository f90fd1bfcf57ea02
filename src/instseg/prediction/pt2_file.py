"""Files of ``torch.export``, in PyTorch; nothing in them is run but operators on tensors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401  # registers the operators of RoIs and suppression
from numpy.typing import NDArray
from torch.export.pt2_archive._package import PT2ArchiveWriter

from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.core.types import Image
from instseg.prediction.exported import METADATA, REMEDY, Opened
from instseg.prediction.pt2_archive import EXTRA, read_archive


def open_file(path: Path, device: str, precision: str) -> Opened:
    """Open a file of ``torch.export``.

    Args:
        path: the .pt2.
        device: cpu or auto, which is the same: the device stands in the graph.
        precision: 32-true alone.

    Raises:
        InstsegError: the file is damaged, or might do more than compute, or there is no such device or precision.
    """
    if device not in ("auto", "cpu"):
        raise InstsegError(f"device={device}: {path.name} was exported for the cpu; predict with the checkpoint")
    if precision != FLOAT32:
        raise InstsegError(f"precision={precision}: {path.name} computes as it was exported; leave it out")
    entries = read_archive(path)
    module = _loaded(entries, path)

    def run(image: Image) -> Sequence[NDArray[np.generic]]:
        with torch.inference_mode():
            found: Sequence[torch.Tensor] = module(torch.from_numpy(image))
        return [values.numpy() for values in found]

    metadata = entries.get(EXTRA + METADATA)
    return Opened(None if metadata is None else metadata.decode("utf-8", "replace"), run, "cpu")


def _loaded(entries: Mapping[str, bytes], path: Path) -> torch.nn.Module:
    """Load entries that were checked, from an archive of these alone: another reader may see another file."""
    checked = io.BytesIO()
    with PT2ArchiveWriter(checked) as archive:
        for name, content in entries.items():
            if not name.startswith((".data", "byteorder")):  # the writer has its own
                archive.write_bytes(name, content)
    checked.seek(0)
    try:
        return torch.export.load(checked).module()
    except Exception as error:  # of any class: damage shows itself anywhere
        raise InstsegError(f"{path} cannot be loaded by PyTorch: {str(error).splitlines()[0]}; {REMEDY}") from error
