"""Corrections of YOLO labels: only the rows in question change, all else of a text file stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.masks import box_to_polygon, clip_polygon, polygons_to_rle, rle_to_box
from instseg.core.polygons import join_polygons, rle_to_polygons
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.formats.yolo.label_files import expected_label_file, find_label_files
from instseg.data.formats.yolo.layout import find_layout
from instseg.data.formats.yolo.reader import YoloReader
from instseg.data.formats.yolo.rows import Row, read_row
from instseg.data.reading.corrections import Correction, Corrections, Label, Proposed, match_labels

DECIMALS = 6  # of fractions of the image


def propose(reader: YoloReader, corrections: Corrections, folder: Path) -> Proposed:
    """Write a corrected copy of the text file of each image.

    Args:
        reader: of the labels.
        corrections: of its images.
        folder: where the copies are written, at their paths below the root.
    """
    layout, proposed, left = find_layout(reader.root), Proposed(), dict(corrections)
    images = [image for listed in layout.images.values() for image in listed]
    labels = find_label_files(images)
    for image in images:
        changes = left.pop(image.resolve(), None)
        if changes is None:
            continue
        file = labels.found.get(image) or expected_label_file(image)
        lines = read_lines(file, keep_empty=True) if file.is_file() else []
        rows, num_made = corrected_rows(lines, changes, layout.names)
        copy = folder / (file.relative_to(layout.home) if file.is_relative_to(layout.home) else file.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(copy, "".join(f"{row}\n" for row in rows))
        proposed.num_placed += num_made
        proposed.files.append(copy)
    return proposed


def corrected_rows(
    lines: Sequence[str], corrections: Sequence[Correction], names: Mapping[int, str]
) -> tuple[list[str], int]:
    """Correct the rows of an image.

    Args:
        lines: of its text file.
        corrections: of its labels.
        names: class index -> name; of labels without names, empty.

    Returns:
        The rows, and how many of the corrections were made; the labels of the others were not found, or their new
        category has no class.
    """
    some = next(label for one in corrections for label in (one.before, one.after) if label is not None)
    height, width = some.rle["size"]
    rows: list[str | None] = [*lines]
    labels = [_label(line, (height, width), names) for line in lines]
    num_made = 0
    for correction, place in zip(corrections, match_labels(corrections, labels), strict=True):
        after = correction.after
        index = None if after is None else _class_of(after.category, names)
        if (place is None and correction.before is not None) or (after is not None and index is None):
            continue
        num_made += 1
        written = None if after is None else _row(index, after, correction, None if place is None else lines[place])
        if place is None:
            rows.append(written)
        else:
            rows[place] = written
    return [row for row in rows if row is not None], num_made


def _label(line: str, image_size: ImageSize, names: Mapping[int, str]) -> Label | None:
    try:
        row = read_row(line)
    except InstsegError:
        return None
    polygon = clip_polygon(_polygon(row, image_size), image_size)
    name = names.get(row.class_index, f"class_{row.class_index}")
    return Label(name, polygons_to_rle([polygon], image_size)) if len(polygon) >= 3 else None


def _polygon(row: Row, image_size: ImageSize) -> Polygon:
    shape = row.in_px(image_size)
    return shape if shape.ndim == 2 else box_to_polygon(shape)


def _class_of(name: str, names: Mapping[int, str]) -> int | None:
    unnamed = name.removeprefix("class_")
    known = {text: index for index, text in names.items()}
    return known.get(name, int(unnamed) if not names and unnamed.isdigit() else None)


def _row(index: int | None, after: Label, correction: Correction, line: str | None) -> str:
    """Return the row of a label: its own with another class, or one that is drawn anew."""
    if line is not None and not correction.is_redrawn:
        return " ".join([str(index), *line.replace(",", " ").split()[1:]])
    is_box = line is not None and read_row(line).is_box
    values = _box_values(after.rle) if is_box else _polygon_values(after.rle)
    return " ".join([str(index), *(f"{value:.{DECIMALS}f}" for value in values)])


def _box_values(rle: Rle) -> Iterator[float]:
    height, width = rle["size"]
    x1, y1, x2, y2 = rle_to_box(rle).tolist()
    yield from ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)


def _polygon_values(rle: Rle) -> Iterator[float]:
    """Yield one polygon; parts and holes are joined by seams."""
    height, width = rle["size"]
    polygon = join_polygons(rle_to_polygons(rle)) / (width, height)
    yield from polygon.reshape(-1).tolist()
