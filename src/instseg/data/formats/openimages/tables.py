"""Tables of Open Images, read as streams: of millions of rows only those of the local images are kept."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Box, ImageSize

SEGMENTATION, BOXES, NAMES = "annotations-object-segmentation", "annotations-bbox", "class-descriptions"
"""Common parts of the tables' names in all versions and splits."""
COLUMNS = {
    SEGMENTATION: ("ImageID", "LabelName", "MaskPath"),
    BOXES: ("ImageID", "LabelName", "XMin", "YMin", "XMax", "YMax", "IsGroupOf"),
}


class BoxRow(NamedTuple):
    """A row of a table of boxes, as text."""

    label: str
    x1: str
    y1: str
    x2: str
    y2: str
    is_group_of: str

    def box(self, image_size: ImageSize) -> Box | None:
        """Return the box (4,) xyxy in px, swapped corners fixed; None if a value is no number or far off the image."""
        try:
            fractions = np.array([float(text) for text in (self.x1, self.y1, self.x2, self.y2)])
        except ValueError:
            return None
        corners = np.sort(fractions.reshape(2, 2), axis=0) * image_size[::-1]
        return corners.reshape(4) if (np.abs(fractions) <= 2).all() else None


def kind_of(file_name: str) -> str | None:
    """Return the kind of a table by its file name; None for other files."""
    kinds = (SEGMENTATION, BOXES, NAMES) if file_name.lower().endswith(".csv") else ()
    return next((kind for kind in kinds if kind in file_name.lower()), None)


def read_masks(path: Path, image_ids: Collection[str]) -> Iterator[list[str]]:
    """Yield ImageID, LabelName and MaskPath of every mask of these images.

    Args:
        path: the table.
        image_ids: the wanted images.

    Raises:
        InstsegError: the file is not such a table.
    """
    return _rows(path, SEGMENTATION, image_ids)


def read_boxes(path: Path, image_ids: Collection[str]) -> Iterator[tuple[str, BoxRow]]:
    """Yield ImageID and row of every box of these images.

    Args:
        path: the table.
        image_ids: the wanted images.

    Raises:
        InstsegError: the file is not such a table.
    """
    for image_id, *row in _rows(path, BOXES, image_ids):
        yield image_id, BoxRow(*row)


def read_names(path: Path) -> dict[str, str]:
    """Read a table of class descriptions, with or without a header: LabelName -> display name."""
    names = {}
    for row in _parsed(path):
        if len(row) >= 2 and row[0].startswith("/") and row[1].strip():
            names[row[0]] = row[1].strip()
    return names


def _rows(path: Path, kind: str, image_ids: Collection[str]) -> Iterator[list[str]]:
    """Yield the columns of this kind of table from complete rows with a wanted ImageID."""
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
        raise InstsegError(f"{path}: not a readable csv table: {error}") from error
