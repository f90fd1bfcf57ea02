"""Instances of LabelMe json: the shapes that are parts of each, and why others are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from instseg.core.errors import InstsegError
from instseg.core.holes import lies_in
from instseg.core.text import usable_text
from instseg.data.formats.groups import plain_group
from instseg.data.formats.labelme.parts import Crop, Part, has_mask, kind_of, polygon_of, read_part
from instseg.data.reading.findings import Findings

BACKGROUND = "_background_"
NO_CLASS = frozenset({"__ignore__", BACKGROUND})
OPEN_SHAPES = frozenset({"point", "points", "line", "linestrip"})
"""Shapes without an area, which are not instances."""


@dataclass(slots=True)
class Instance:
    """An instance, and the places of its shapes in the json's list."""

    label: str
    parts: list[Part] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def read_instances(
    shapes: Sequence[object], file: str, findings: Findings, joins_groups: bool = True
) -> list[Instance]:
    """Read the instances of one label file: shapes with the same label and group_id are parts of one instance.

    A polygon called ``_background_`` is a hole of the polygons drawn before it that hold all of it.

    Args:
        shapes: the entries of the json's list.
        file: its name, for findings.
        findings: gets the shapes that are left out.
        joins_groups: false to read each shape as an instance.
    """
    instances: dict[object, Instance] = {}
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict):
            found = type(shape).__name__
            findings.add("shape_invalid", f"{file}: shape {number}: expected an object, found {found}")
        elif shape.get("label") == BACKGROUND and _add_hole(shape, number - 1, instances.values()):
            continue
        elif (part := _read_labelled_part(shape, f"{file}: shape {number}", findings)) is not None:
            label, group = _label(shape.get("label")), shape.get("group_id")
            key = (label, group) if joins_groups and plain_group(group) is not None else number
            instance = instances.setdefault(key, Instance(label))
            instance.parts.append(part)
            instance.places.append(number - 1)
    return list(instances.values())


def _add_hole(shape: Mapping[str, object], place: int, instances: Iterable[Instance]) -> bool:
    """Add a polygon to the instances that it is a hole of; false where there is none."""
    try:
        hole = read_part(shape)
    except InstsegError:
        return False
    if isinstance(hole, Crop):
        return False
    ring, around = polygon_of(hole), []
    for instance in instances:
        outer = [polygon_of(part) for part in instance.parts if not isinstance(part, Crop)]
        if not has_mask(instance.parts) and any(lies_in(ring, polygon) for polygon in outer):
            around.append(instance)
    for instance in around:
        instance.parts.append(ring)
        instance.places.append(place)
    return bool(around)


def _read_labelled_part(shape: Mapping[str, object], where: str, findings: Findings) -> Part | None:
    """Read a shape that is part of an instance; None, with a finding, for any other."""
    if not (label := _label(shape.get("label"))):
        findings.add("category_missing", where)
    elif label in NO_CLASS:
        findings.add("category_ignored", where)
    elif kind_of(shape) in OPEN_SHAPES:
        findings.add("shape_open", f"{where} ({kind_of(shape)})")
    else:
        try:
            return read_part(shape)
        except InstsegError as error:
            findings.add("shape_invalid", f"{where}: {error}")
    return None


def _label(label: object) -> str:
    """Return a label as text; whole numbers are converted, anything else is empty."""
    text = usable_text(str(label) if type(label) is int else label)
    return text if text.strip() else ""
