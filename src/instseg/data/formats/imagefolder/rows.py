"""Rows of a table of images with their objects, as Hugging Face's datasets have them, as a COCO dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from instseg.core.text import usable_text
from instseg.data.formats.plain_json import as_object

LISTS = {
    "bbox": ("bbox", "bboxes", "boxes"),
    "category": ("category", "categories", "category_id", "label", "labels", "class"),
    "segmentation": (
        "segmentation",
        "segmentations",
        "segments",
        "polygon",
        "polygons",
        "rle",
        "rles",
        "mask",
        "masks",
    ),
    "area": ("area", "areas"),
    "iscrowd": ("iscrowd", "is_crowd"),
}
"""Key of an annotation -> the names that its list has in a row, or an object in a list."""
OBJECTS = ("objects", "annotations", "instances", "faces", "labels")
"""The names of the column with the objects."""
NO_NAME = "class_{}"


class Rows:
    """Collector of the images and annotations of one split; categories are numbers or names."""

    def __init__(self, names: Sequence[str]) -> None:
        """Start without images.

        Args:
            names: of the categories, by number; empty where the dataset does not declare them.
        """
        self.names = list(names)
        self.images: list[object] = []
        self.annotations: list[object] = []
        self.ids: dict[str, int] = {}

    def add(self, file_name: str, row: Mapping[str, object]) -> None:
        """Add one image.

        Args:
            file_name: from the image root.
            row: its columns.
        """
        image = {"id": len(self.images) + 1, "file_name": file_name}
        self.images.append(image | {key: row[key] for key in ("width", "height") if row.get(key) is not None})
        for entry in objects_of(row):
            category = self._id(entry.get("category"))
            added = {**entry, "id": len(self.annotations) + 1, "image_id": image["id"], "category_id": category}
            self.annotations.append({key: value for key, value in added.items() if key != "category"})

    def _id(self, category: object) -> int | None:
        """Return the id of a category, which is new where nothing declares it; None where there is none."""
        number = int(category) if isinstance(category, str) and category.isdecimal() else category
        if type(number) is int:
            name = self.names[number] if 0 <= number < len(self.names) else NO_NAME.format(number)
        elif not (name := usable_text(category).strip()):
            return None
        return self.ids.setdefault(name, len(self.ids) + 1)


def objects_of(row: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the objects of a row, each with the keys of ``LISTS``: from lists in parallel, or a list of objects."""
    column = next((row[name] for name in OBJECTS if row.get(name) is not None), row)
    if isinstance(column, str):
        try:
            column = json.loads(column)
        except (ValueError, RecursionError):
            return []
    if isinstance(column, list):
        return [{key: _first(as_object(entry), names) for key, names in LISTS.items()} for entry in column]
    lists = {key: _first(as_object(column), names) for key, names in LISTS.items()}
    count = max((len(values) for values in lists.values() if isinstance(values, list)), default=0)
    return [{key: _at(values, number) for key, values in lists.items()} for number in range(count)]


def _first(entry: Mapping[str, object], names: Iterable[str]) -> object:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _at(values: object, number: int) -> object:
    return values[number] if isinstance(values, list) and number < len(values) else None
