"""What a test found on each image, as one small file in the run folder: enough to compute AP on any part of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.atomic import replacing
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.evaluation.image_record import ImageRecord, Overlaps

FILE_NAME = "test_images.npz"
FORMAT = 1
ROWS = ("truth_labels", "truth_areas", "truth_iscrowd", "labels", "scores")  # of an ImageRecord
PAIRS = ("detections", "truths", "ious")  # of its Overlaps
SMALL = {"truth_labels": np.int32, "labels": np.int32, "detections": np.int32, "truths": np.int32}


@dataclass(frozen=True, slots=True)
class ImageResults:
    """Measured images, sorted by image_id, and what they and their categories are called."""

    records: list[ImageRecord]
    file_names: list[str]
    categories: Categories


def write_image_results(path: Path, results: ImageResults) -> None:
    """Compressed numpy arrays, one for each field with the rows of all images; written atomically."""
    records = results.records
    columns: dict[str, Any] = {
        "format": np.array(FORMAT),
        "image_ids": np.array([record.image_id for record in records], dtype=np.int64),
        "file_names": np.array(results.file_names, dtype=np.str_),
        "categories": np.array(results.categories.names, dtype=np.str_),
        "truth_sizes": _sizes([record.truth_labels for record in records]),
        "sizes": _sizes([record.labels for record in records]),
    }
    for name in ROWS:
        columns[name] = _joined([getattr(record, name) for record in records], name)
    for kind in ("boxes", "masks"):
        overlaps = [getattr(record, kind) for record in records]
        columns[f"{kind}/areas"] = _joined([one.areas for one in overlaps], "areas")
        columns[f"{kind}/sizes"] = _sizes([one.ious for one in overlaps])
        columns |= {f"{kind}/{name}": _joined([getattr(one, name) for one in overlaps], name) for name in PAIRS}
    with replacing(path, sync=True) as scratch, scratch.open("wb") as file:
        np.savez_compressed(file, **columns)


def read_image_results(path: Path) -> ImageResults:
    """InstsegError where the file is missing, damaged or of a later version. Nothing in it is unpickled."""
    if not path.is_file():
        raise InstsegError(
            f"{path}: no such file. Every test writes one; for an older run:  "
            f"python train.py stage=test checkpoint={path.parent}"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InstsegError(
            f"{path} ({path.stat().st_size} bytes) cannot be read, it may be cut off: {error}"
        ) from error
    if columns["format"] > FORMAT:
        raise InstsegError(f"{path} was written by a later version: please update")
    categories = Categories(tuple(columns["categories"].tolist()))
    return ImageResults(_records(columns), columns["file_names"].tolist(), categories)


def _records(columns: dict[str, NDArray[Any]]) -> list[ImageRecord]:
    rows = {name: _divided(columns, name, "truth_sizes" if name.startswith("truth") else "sizes") for name in ROWS}
    overlaps = {kind: _overlaps(columns, kind) for kind in ("boxes", "masks")}
    image_ids = columns["image_ids"].tolist()
    parts: dict[str, list[Any]] = {**rows, **overlaps}
    return [
        ImageRecord(image_id, **{name: part[i] for name, part in parts.items()}) for i, image_id in enumerate(image_ids)
    ]


def _overlaps(columns: dict[str, NDArray[Any]], kind: str) -> list[Overlaps]:
    areas = _divided(columns, f"{kind}/areas", "sizes")
    pairs = [_divided(columns, f"{kind}/{name}", f"{kind}/sizes") for name in PAIRS]
    return [Overlaps(*of_image) for of_image in zip(areas, *pairs, strict=True)]


def _divided(columns: dict[str, NDArray[Any]], name: str, sizes: str) -> list[NDArray[Any]]:
    """A column by image; whole numbers as wide as evaluation has them."""
    column = columns[name].astype(np.int64) if columns[name].dtype == np.int32 else columns[name]
    return np.split(column, np.cumsum(columns[sizes])[:-1])


def _sizes(of_images: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.array([len(rows) for rows in of_images], dtype=np.int64)


def _joined(of_images: Sequence[NDArray[Any]], name: str) -> NDArray[Any]:
    column = np.concatenate(of_images) if of_images else np.zeros(0)
    return column.astype(SMALL[name]) if name in SMALL else column
