"""Reader of Datumaro: ``annotations/<subset>.json`` with items, and the images in ``images/<subset>/``.

Polygons, boxes, ellipses and masks are read. Annotations of one label and group are one instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.files import read_head, read_json
from instseg.core.masks import segmentation_to_rle
from instseg.core.text import usable_text
from instseg.data.formats.groups import Groups, check_groups, tell_groups
from instseg.data.formats.image_labels import ImageLabels, ShapeGroups, read_in_threads, usable_labels
from instseg.data.formats.plain_json import as_list, as_number, as_object, box_of_xywh, size_of
from instseg.data.formats.shapes import Shape, check_polygon, ellipse, read_points
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_folder, split_named, split_of_folders
from instseg.data.reading.labels import UNSPLIT, Labels

IGNORED = ("label", "caption")
OPEN_SHAPES = ("points", "polyline", "skeleton", "cuboid_3d", "cuboid_2d")


def recognise(root: Path) -> str | None:
    """Describe the annotations of Datumaro; None where there are none."""
    found = list(_files(root)) if root.is_dir() else []
    return f"{len(found)} Datumaro json" if found else None


def _files(root: Path) -> Iterator[Path]:
    return (file for file in sorted(root.glob("annotations/*.json")) if _is_datumaro(file))


def _is_datumaro(file: Path) -> bool:
    head = read_head(file)
    return b'"categories"' in head and b'"label"' in head and b'"labels"' in head and b'"images"' not in head


@dataclass(frozen=True, slots=True)
class DatumaroReader:
    """Reader of Datumaro's own format; subsets named train, val and test are splits.

    Attributes:
        root: the folder with ``annotations/`` and ``images/``.
        groups: ``join`` takes annotations of one label and group for one instance, ``ignore`` reads each as one.
    """

    FORMAT: ClassVar[str] = "datumaro"
    VERSION: ClassVar[int] = 2
    root: Path
    groups: str = "join"

    def __post_init__(self) -> None:
        """Raise InstsegError for an unknown value of an option."""
        check_groups(self.groups)

    def label_files(self) -> list[Path]:
        """Return the json of all subsets.

        Raises:
            InstsegError: there is none.
        """
        check_folder(self.root)
        files = list(_files(self.root))
        if not files:
            raise InstsegError(f"{self.root}: expected annotations/*.json of Datumaro, found none")
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the items of all subsets."""
        finder = ImageFinder(self.root)
        items = [item for file in self.label_files() for item in _items_of(file, findings)]
        joins_groups = self.groups == "join"
        builders = read_in_threads(partial(_read_item, self.root, finder, joins_groups), items, findings)
        if joins_groups:
            tell_groups(_groups_of(items), self.FORMAT, findings[next(iter(builders), UNSPLIT)])
        return usable_labels(builders, self.root, findings, f"{self.root}: labels of Datumaro")


@dataclass(frozen=True, slots=True)
class _Item:
    subset: str
    content: Mapping[str, object]
    names: list[str]  # of the labels, by number


def _items_of(file: Path, findings: Mapping[str, Findings]) -> Iterator[_Item]:
    content = as_object(read_json(file))
    labels = as_list(as_object(as_object(content.get("categories")).get("label")).get("labels"))
    names = [usable_text(as_object(label).get("name")) for label in labels]
    for number, item in enumerate(as_list(content.get("items"))):
        if isinstance(item, dict):
            yield _Item(file.stem, item, names)
        else:
            findings[split_named(file.stem) or UNSPLIT].add("label_invalid", f"{file.name}: items[{number}]")


def _groups_of(items: Iterable[_Item]) -> Groups:
    groups = Groups()
    for number, item in enumerate(items):
        entries = [as_object(entry) for entry in as_list(item.content.get("annotations"))]
        shapes = [entry for entry in entries if usable_text(entry.get("type")) not in (*IGNORED, *OPEN_SHAPES)]
        pairs = ((_name(entry.get("label_id"), item.names), _group(entry)) for entry in shapes)
        groups.add(pairs, usable_text(item.content.get("id")) or f"item {number}")
    return groups


def _group(entry: Mapping[str, object]) -> int | None:
    """Return the group of an annotation, None where it is in none."""
    group = entry.get("group")
    return group if isinstance(group, int) and group else None


def _read_item(root: Path, finder: ImageFinder, joins_groups: bool, item: _Item) -> ImageLabels:
    image = as_object(item.content.get("image"))
    name = usable_text(image.get("path")) or f"{usable_text(item.content.get('id')) or 'unnamed'}.jpg"
    wanted = PurePosixPath("images", item.subset, name.replace("\\", "/"))
    found = finder.find(str(wanted)) or finder.find(wanted.name) or str(wanted.parent / wanted.name)
    split = split_named(item.subset) or split_of_folders(root / found, root) or UNSPLIT
    labels = ImageLabels(found, split, size_of(*_first(image.get("size"), 2)))
    groups = ShapeGroups()
    for number, entry in enumerate(map(as_object, as_list(item.content.get("annotations"))), start=1):
        if usable_text(entry.get("type")) not in IGNORED:
            category, group = _name(entry.get("label_id"), item.names), _group(entry) if joins_groups else None
            _add_shape(labels, groups, entry, category, number, number if group is None else (category, group))
    groups.add_to(labels)
    return labels


def _add_shape(
    labels: ImageLabels, groups: ShapeGroups, entry: Mapping[str, object], category: str, number: int, key: object
) -> None:
    """Add an annotation to the instance of a key."""
    where, kind = f"{labels.file_name}: annotation {number}", usable_text(entry.get("type"))
    if kind in OPEN_SHAPES:
        labels.report("shape_open", f"{where} ({kind})")
    elif not category:
        labels.report("category_missing", where)
    else:
        try:
            groups.add(key, category, _shape(kind, entry, labels))
        except InstsegError as error:
            labels.report("shape_invalid", f"{where}: {error}")


def _name(label: object, names: list[str]) -> str:
    return names[label] if type(label) is int and 0 <= label < len(names) else ""


def _first(values: object, count: int) -> list[object]:
    """Return so many values of a list, None for each that it lacks."""
    return [*as_list(values)[:count], *[None] * count][:count]


def _shape(kind: str, entry: Mapping[str, object], labels: ImageLabels) -> Shape:
    if kind == "polygon":
        flat = [as_number(number) for number in as_list(entry.get("points"))]
        return [check_polygon(read_points(list(zip(flat[::2], flat[1::2], strict=False))))]
    if kind == "bbox":
        numbers = as_list(entry.get("bbox"))
        if len(numbers) != 4:
            raise InstsegError("a bbox needs four numbers")
        return box_of_xywh(*numbers)
    if kind == "ellipse":
        x1, y1, x2, y2 = (as_number(number) for number in _first(entry.get("points"), 4))
        return [ellipse(np.array([x1 + x2, y1 + y2]) / 2, (abs(x2 - x1) / 2, abs(y2 - y1) / 2))]
    if kind == "mask":
        rle = as_object(entry.get("rle"))
        size = labels.image_size or size_of(*_first(rle.get("size"), 2))
        if size is None:
            raise InstsegError("a mask needs the size of its image")
        try:
            return segmentation_to_rle(dict(rle), size)
        except (TypeError, ValueError, OverflowError) as error:
            raise InstsegError("its rle needs a size and counts") from error
    raise InstsegError(f"type {kind[:40]!r} is not known")
