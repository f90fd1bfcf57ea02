"""Predictions drawn by hand, and a run that writes them as ``predict.py`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import yaml
from factories import drawn, make_picture
from hydra.utils import get_class
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_to_box
from instseg.core.types import ImageSize, Prediction
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, unique_stems
from instseg.prediction.writers.writer import PredictionRun, Writer

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

AnyWriter = TypeVar("AnyWriter", bound=Writer)


def all_writers() -> dict[str, Writer]:
    """Build every writer of the configuration."""
    nodes = yaml.safe_load((CONFIG_DIR / "writers/default.yaml").read_text())
    return {name: get_class(node["_target_"])() for name, node in nodes.items()}


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


def export_run(folder: Path) -> PredictionRun:
    return PredictionRun(folder / "out", folder / "my photos", CATEGORIES, IDENTITY)


def export(kind: type[AnyWriter], folder: Path, predictions: Mapping[str, Prediction]) -> AnyWriter:
    """Make the images (file -> prediction) in ``folder/my photos`` and write them to ``folder/out``."""
    run = export_run(folder)
    writer, images = kind(), []
    writer.start(run)
    for (file, prediction), stem in zip(predictions.items(), unique_stems(list(predictions)), strict=True):
        pixels = make_picture(prediction.image_size)
        path = run.image_folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(pixels).save(path)
        images.append(PredictedImage(file, stem, prediction))
        writer.add(LoadedImage(images[-1], pixels))
    writer.finish(images)
    assert not list(run.output.rglob(".*"))  # nothing half written
    return writer
