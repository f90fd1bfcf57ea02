"""The detections of a test, image by image, as one small file in the run folder: enough for AP on any of the images."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
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
from instseg.evaluation.image_record import ImageRecord, Overlaps

FILE_NAME = "test_images.npz"
VALIDATION_FILE_NAME = "val_images.npz"  # of the best validation
FORMAT = 1
BOX_ONLY = "truth_is_box_only"
"""Column that a file has where an instance is without a mask."""


@dataclass(frozen=True, slots=True)
class ImageResults:
    """Measured images, sorted by image_id, and the names of their files and categories."""

    records: list[ImageRecord]
    file_names: list[str]
    categories: Categories


def write_image_results(path: Path, results: ImageResults) -> None:
    """Write compressed numpy columns, one for each field with the rows of all images, atomically.

    Args:
        path: the file.
        results: what was measured.
    """
    records = results.records
    columns: dict[str, Column] = {
        "format": np.array(FORMAT),
        "image_ids": np.array([record.image_id for record in records], dtype=np.int64),
        "file_names": np.array(results.file_names, dtype=np.str_),
        "categories": np.array(results.categories.names, dtype=np.str_),
        "truth_sizes": sizes_of([record.truth_labels for record in records]),
        "truth_labels": joined([record.truth_labels for record in records], np.int32),
        "truth_areas": joined([record.truth_areas for record in records], np.float64),
        "truth_iscrowd": joined([record.truth_iscrowd for record in records], np.bool_),
        "sizes": sizes_of([record.labels for record in records]),
        "labels": joined([record.labels for record in records], np.int32),
        "scores": joined([record.scores for record in records], np.float64),
        **_overlap_columns("boxes", [record.boxes for record in records]),
        **_overlap_columns("masks", [record.masks for record in records]),
    }
    is_box_only = joined([record.truth_is_box_only for record in records], np.bool_)
    write_columns(path, {**columns, BOX_ONLY: is_box_only} if is_box_only.any() else columns)


def _overlap_columns(kind: str, overlaps: Sequence[Overlaps]) -> dict[str, Column]:
    return {
        f"{kind}/areas": joined([one.areas for one in overlaps], np.float64),
        f"{kind}/sizes": sizes_of([one.ious for one in overlaps]),
        f"{kind}/detections": joined([one.detections for one in overlaps], np.int32),
        f"{kind}/truths": joined([one.truths for one in overlaps], np.int32),
        f"{kind}/ious": joined([one.ious for one in overlaps], np.float64),
    }


def read_image_results(path: Path) -> ImageResults:
    """Read what ``write_image_results`` wrote; nothing in the file is unpickled.

    Args:
        path: the file.

    Returns:
        What was measured.

    Raises:
        InstsegError: the file is missing, damaged or of a later version.
    """
    remedy = f"test again:  {typed_command('test')} {shlex.quote(f'checkpoint={path.parent}')}"
    if not path.is_file():
        raise InstsegError(f"{path}: no such file. Every test writes one; for an older run {remedy}")
    columns = read_columns(path, FORMAT, remedy)
    categories = Categories(tuple(columns.texts("categories")))
    image_ids = columns.integers("image_ids", lowest=-MAX_INTEGER).tolist()
    if any(before >= after for before, after in pairwise(image_ids)):
        raise columns.error("image_ids", "numbers in ascending order", "another order")
    records = _read_records(columns, image_ids, len(categories))
    return ImageResults(records, columns.texts("file_names", len(image_ids)), categories)


def _read_records(columns: Columns, image_ids: Sequence[int], num_categories: int) -> list[ImageRecord]:
    truth_sizes, sizes = (columns.sizes(name, len(image_ids)) for name in ("truth_sizes", "sizes"))
    num_truths, num_detections = int(truth_sizes.sum()), int(sizes.sum())
    is_box_only = columns.flags(BOX_ONLY, num_truths) if BOX_ONLY in columns else np.zeros(num_truths, np.bool_)
    truths = zip(
        split_rows(columns.integers("truth_labels", num_truths, 1, num_categories), truth_sizes),
        split_rows(columns.floats("truth_areas", num_truths), truth_sizes),
        split_rows(columns.flags("truth_iscrowd", num_truths), truth_sizes),
        split_rows(is_box_only, truth_sizes),
        strict=True,
    )
    detections = zip(
        split_rows(columns.integers("labels", num_detections, 1, num_categories), sizes),
        split_rows(columns.floats("scores", num_detections), sizes),
        _read_overlaps(columns, "boxes", sizes, truth_sizes),
        _read_overlaps(columns, "masks", sizes, truth_sizes),
        strict=True,
    )
    return [
        ImageRecord(image_id, *truth, *found)
        for image_id, truth, found in zip(image_ids, truths, detections, strict=True)
    ]


def _read_overlaps(
    columns: Columns, kind: str, sizes: NDArray[np.int64], truth_sizes: NDArray[np.int64]
) -> list[Overlaps]:
    pair_sizes = columns.sizes(f"{kind}/sizes", len(sizes))
    num_pairs = int(pair_sizes.sum())
    of_image = zip(
        split_rows(columns.floats(f"{kind}/areas", int(sizes.sum())), sizes),
        split_rows(_read_row_numbers(columns, f"{kind}/detections", pair_sizes, sizes), pair_sizes),
        split_rows(_read_row_numbers(columns, f"{kind}/truths", pair_sizes, truth_sizes), pair_sizes),
        split_rows(columns.floats(f"{kind}/ious", num_pairs), pair_sizes),
        strict=True,
    )
    return [Overlaps(*columns_of_image) for columns_of_image in of_image]


def _read_row_numbers(
    columns: Columns, name: str, pair_sizes: NDArray[np.int64], num_rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Read the numbers of rows of an image, each below ``num_rows`` of that image."""
    numbers = columns.integers(name, int(pair_sizes.sum()))
    if (numbers >= np.repeat(num_rows, pair_sizes)).any():
        raise columns.error(name, "numbers of rows of the image", "numbers of rows that it has not")
    return numbers
