"""OpenVINO's files in int8, by NNCF."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import openvino

from instseg.core.types import Image
from instseg.deploy.openvino_writer import save
from instseg.prediction.exported import ExportRecord

OUTSIDE_OF_LAYERS = "^/?[^/]*$"
"""Names of operators that belong to no module of the network: boxes, scores and suppression, which stay in float32."""


def quantize_openvino(source: Path, images: Sequence[Image], record: ExportRecord, path: Path) -> None:
    """Write a model anew with the layers of the network in int8, as ``deploy.formats.Quantize`` says.

    Args:
        source: the .xml in float32.
        images: in the network frame.
        record: of the new file.
        path: of the new .xml.
    """
    os.environ["NNCF_CI"] = "1"  # else each call is reported over the network to those who make NNCF
    import nncf

    nncf.set_log_level(logging.ERROR)
    quantized = nncf.quantize(
        openvino.Core().read_model(source),
        nncf.Dataset(images),
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(patterns=[OUTSIDE_OF_LAYERS], validate=False),
    )
    save(quantized, record, path)
