"""The tables of Open Images, read as streams: of millions of rows only those of the images that are there are kept."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Box, ImageSize

SEGMENTATION, BOXES, NAMES = "annotations-object-segmentation", "annotations-bbox", "class-descriptions"
"""What the names of the tables have in common, whatever their version and split."""
COLUMNS = {
    SEGMENTATION: ("ImageID", "LabelName", "MaskPath"),
    BOXES: ("ImageID", "LabelName", "XMin", "YMin", "XMax", "YMax", "IsGroupOf"),
}


class BoxRow(NamedTuple):
    """As written."""

    label: str
    x1: str
    y1: str
    x2: str
    y2: str
    is_group_of: str

    def box(self, image_size: ImageSize) -> Box | None:
        """(4,) xyxy in px, swapped corners put right; None where one is no number, or far outside of the image."""
        try:
            shares = np.array([float(text) for text in (self.x1, self.y1, self.x2, self.y2)])
        except ValueError:
            return None
        corners = np.sort(shares.reshape(2, 2), axis=0) * image_size[::-1]
        return corners.reshape(4) if (np.abs(shares) <= 2).all() else None


def kind_of(file_name: str) -> str | None:
    """Which of the tables a file is, by its name; None for all others."""
    kinds = (SEGMENTATION, BOXES, NAMES) if file_name.lower().endswith(".csv") else ()
    return next((kind for kind in kinds if kind in file_name.lower()), None)


def read_masks(path: Path, image_ids: Collection[str]) -> Iterator[list[str]]:
    """ImageID, LabelName and MaskPath of every mask of these images. InstsegError for what is no such table."""
    return _rows(path, SEGMENTATION, image_ids)


def read_boxes(path: Path, image_ids: Collection[str]) -> Iterator[tuple[str, BoxRow]]:
    """ImageID and the rest of every box of these images. InstsegError for what is no such table."""
    for image_id, *row in _rows(path, BOXES, image_ids):
        yield image_id, BoxRow(*row)


def read_names(path: Path) -> dict[str, str]:
    """LabelName -> what it means; with or without a header."""
    names = {}
    for row in _parsed(path):
        if len(row) >= 2 and row[0].startswith("/") and row[1].strip():
            names[row[0]] = row[1].strip()
    return names


def _rows(path: Path, kind: str, image_ids: Collection[str]) -> Iterator[list[str]]:
    """The columns of the kind, of the rows whose ImageID is wanted and that are whole."""
    rows = _parsed(path)
    header = [name.strip() for name in next(rows, [])]
    wanted = COLUMNS[kind]
    if missing := [column for column in wanted if column not in header]:
        found = [name[:40] for name in header[:14]]
        raise InstsegError(f"{path}: expected the columns {', '.join(wanted)}; no {', '.join(missing)} in {found}")
    positions = [header.index(column) for column in wanted]
    image_id, width = positions[0], max(positions)
    for row in rows:
        if len(row) > width and row[image_id] in image_ids:
            yield [row[position] for position in positions]


def _parsed(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            yield from csv.reader(file)
    except (OSError, csv.Error) as error:
        raise InstsegError(f"{path}: not a table that can be read (csv): {error}") from error
