"""Predictions drawn by hand, and a run that exports them as ``predict.py`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from factories import drawn, make_picture
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_to_box
from instseg.core.types import ImageSize, Prediction
from instseg.prediction.writers.predicted_image import Export, ExportRun, Picture, PredictedPhoto, unique_stems

CATEGORIES = Categories(("car", "traffic sign", "cake"))
IDENTITY = {
    "checkpoint": "/runs/signs_r18fpn/2026-01-31_12-00-00/checkpoints/best.ckpt",
    "run": "signs_r18fpn/2026-01-31_12-00-00",
    "epoch": 9,
    "instseg": "0.1.0",
    "score_threshold": 0.5,
}
RING = drawn("........", ".####...", ".#..#...", ".####...", "........", "........")
TWO_PARTS = drawn("......##", "......##", "........", "........", "##......", "##......")
PIXEL = drawn("........", "........", "..#.....", "........", "........", "........")
"""Inside the hole of RING."""
SIZE = (6, 8)

AnyExport = TypeVar("AnyExport", bound=Export)


def predicted(
    *masks: NDArray[np.uint8],
    labels: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    size: ImageSize = SIZE,
    image_id: int = 1,
) -> Prediction:
    """One instance a mask; labels count up from 1, scores down from 0.9 by a tenth, unless given."""
    rles = [bitmask_to_rle(mask) for mask in masks]
    numbers = np.arange(len(masks))
    return Prediction(
        image_id,
        masks[0].shape if masks else size,  # type: ignore[arg-type]
        np.array([rle_to_box(rle) for rle in rles], np.float32).reshape(-1, 4),
        np.array(numbers % 3 + 1 if labels is None else labels, np.int64),
        np.array(0.9 - numbers / 10 if scores is None else scores, np.float32),
        rles,
    )


def export_run(folder: Path) -> ExportRun:
    return ExportRun(folder / "out", folder / "my photos", CATEGORIES, IDENTITY)


def export(kind: type[AnyExport], folder: Path, predictions: Mapping[str, Prediction]) -> AnyExport:
    """Make the photos (file -> prediction) in ``folder/my photos`` and export them to ``folder/out``."""
    run = export_run(folder)
    exporter, photos = kind(run), []
    for (file, prediction), stem in zip(predictions.items(), unique_stems(list(predictions)), strict=True):
        pixels = make_picture(prediction.image_size)
        path = run.image_folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(pixels).save(path)
        photos.append(PredictedPhoto(file, stem, prediction))
        exporter.add(Picture(photos[-1], pixels))
    exporter.finish(photos)
    assert not list(run.output.rglob(".*"))  # nothing half written
    return exporter
