"""The masks of a test, as one file in the run folder: enough to draw what was labelled and what was found.

Of the detections only those at the thresholds in use have their masks here; of all others the boxes, which tell where
they lie. What average precision needs of all of them is in ``image_results``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.masks import segmentation_to_rle
from instseg.core.types import GroundTruth, ImageSize, Prediction, Rle
from instseg.evaluation.columns_file import (
    MAX_INTEGER,
    Column,
    Columns,
    joined,
    read_columns,
    sizes_of,
    split_rows,
    write_columns,
)
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.image_details import Boxes

FILE_NAME = "test_masks.npz"
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class MaskResults:
    """Images of a test, sorted by image_id, with their masks and files."""

    evaluated: EvaluatedImages
    """With the detections at the thresholds alone."""
    boxes: list[Boxes]
    """(D, 4) of all detections of each image, in the order of ``ImageRecord``."""
    paths: list[str]
    """File of each image."""
    rotations: list[bool]
    """Turn each image by its EXIF orientation."""
    thresholds: Floats
    """(C,) least score of each category."""


def write_masks(path: Path, tested: MaskResults) -> None:
    """Write the images of a test as compressed columns, atomically.

    Args:
        path: the file.
        tested: the images.
    """
    truths, predictions = tested.evaluated.truths, tested.evaluated.predictions
    columns: dict[str, Column] = {
        "format": np.array(FORMAT),
        "image_ids": np.array([truth.image_id for truth in truths], dtype=np.int64),
        "image_sizes": np.array([truth.image_size for truth in truths], dtype=np.int64).ravel(),
        "paths": np.array(tested.paths, dtype=np.str_),
        "rotations": np.array(tested.rotations, dtype=np.bool_),
        "categories": np.array(tested.evaluated.categories.names, dtype=np.str_),
        "thresholds": tested.thresholds,
        **_instance_columns("truth", truths),
        "truth/areas": joined([truth.areas for truth in truths], np.float64),
        "truth/iscrowd": joined([truth.iscrowd for truth in truths], np.bool_),
        **_instance_columns("found", predictions),
        "found/scores": joined([prediction.scores for prediction in predictions], np.float32),
        "all/sizes": sizes_of(tested.boxes),
        "all/boxes": joined([boxes.ravel() for boxes in tested.boxes], np.float32),
    }
    write_columns(path, columns)


def _instance_columns(kind: str, of_images: Sequence[GroundTruth] | Sequence[Prediction]) -> dict[str, Column]:
    counts = [rle["counts"] for one in of_images for rle in one.rles]
    return {
        f"{kind}/sizes": sizes_of([one.rles for one in of_images]),
        f"{kind}/labels": joined([one.labels for one in of_images], np.int32),
        f"{kind}/boxes": joined([one.boxes.ravel() for one in of_images], np.float64),
        f"{kind}/mask_sizes": sizes_of(counts),
        f"{kind}/masks": np.frombuffer(b"".join(counts), np.uint8),
    }


def read_masks(path: Path, remedy: str) -> MaskResults:
    """Read what ``write_masks`` wrote; nothing in the file is unpickled.

    Args:
        path: the file.
        remedy: what the user can do where the file is of no use, as the end of a message.

    Raises:
        InstsegError: the file is missing, damaged or of a later version.
    """
    if not path.is_file():
        raise InstsegError(f"{path}: no such file; {remedy}")
    columns = read_columns(path, FORMAT, remedy)
    ids = columns.integers("image_ids", lowest=-MAX_INTEGER).tolist()
    sides = columns.integers("image_sizes", 2 * len(ids), lowest=1).reshape(-1, 2).tolist()
    image_sizes: list[ImageSize] = [(height, width) for height, width in sides]
    categories = Categories(tuple(columns.texts("categories")))
    found = _read_predictions(columns, ids, image_sizes, len(categories))
    evaluated = EvaluatedImages(found, _read_truths(columns, ids, image_sizes, len(categories)), categories)
    all_sizes = columns.sizes("all/sizes", len(ids))
    boxes = split_rows(columns.floats("all/boxes", 4 * int(all_sizes.sum())).reshape(-1, 4), all_sizes)
    paths, rotations = columns.texts("paths", len(ids)), columns.flags("rotations", len(ids)).tolist()
    return MaskResults(evaluated, [*boxes], paths, rotations, columns.floats("thresholds", len(categories)))


def _read_truths(
    columns: Columns, ids: Sequence[int], image_sizes: Sequence[ImageSize], num_categories: int
) -> list[GroundTruth]:
    sizes, labels, boxes, rles = _read_instances(columns, "truth", image_sizes, num_categories)
    areas = split_rows(columns.floats("truth/areas", int(sizes.sum())), sizes)
    iscrowd = split_rows(columns.flags("truth/iscrowd", int(sizes.sum())), sizes)
    rows = zip(ids, image_sizes, boxes, labels, areas, iscrowd, rles, strict=True)
    return [GroundTruth(*row) for row in rows]


def _read_predictions(
    columns: Columns, ids: Sequence[int], image_sizes: Sequence[ImageSize], num_categories: int
) -> list[Prediction]:
    sizes, labels, boxes, rles = _read_instances(columns, "found", image_sizes, num_categories)
    scores = split_rows(columns.floats("found/scores", int(sizes.sum())).astype(np.float32), sizes)
    rows = zip(ids, image_sizes, (one.astype(np.float32) for one in boxes), labels, scores, rles, strict=True)
    return [Prediction(*row) for row in rows]


def _read_instances(
    columns: Columns, kind: str, image_sizes: Sequence[ImageSize], num_categories: int
) -> tuple[NDArray[np.int64], Sequence[NDArray[np.int64]], Sequence[Boxes], list[list[Rle]]]:
    """Return the number of instances of each image, and their labels, boxes and masks."""
    sizes = columns.sizes(f"{kind}/sizes", len(image_sizes))
    count = int(sizes.sum())
    labels = split_rows(columns.integers(f"{kind}/labels", count, 1, num_categories), sizes)
    boxes = split_rows(columns.floats(f"{kind}/boxes", 4 * count).reshape(-1, 4), sizes)
    return sizes, labels, boxes, _read_rles(columns, kind, sizes, image_sizes)


def _read_rles(
    columns: Columns, kind: str, sizes: NDArray[np.int64], image_sizes: Sequence[ImageSize]
) -> list[list[Rle]]:
    lengths = columns.sizes(f"{kind}/mask_sizes", int(sizes.sum()))
    content = columns.integers(f"{kind}/masks", int(lengths.sum()), highest=255).astype(np.uint8)
    counts = iter([part.tobytes() for part in split_rows(content, lengths)])
    try:
        return [
            [segmentation_to_rle({"size": [*size], "counts": next(counts)}, size) for _ in range(number)]
            for number, size in zip(sizes.tolist(), image_sizes, strict=True)
        ]
    except (InstsegError, ValueError, IndexError) as error:
        raise columns.error(f"{kind}/masks", "masks of the size of their images", str(error)) from error
