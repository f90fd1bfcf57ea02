"""Parsing of a VOC xml as written by VOC itself, LabelImg, CVAT, Roboflow and the ``openimages`` downloader.

Elements are found by tag, as their order differs. The meaning of a box's corners differs too:

- VOC (``<source>`` is VOC2007, …): first and last pixel, counted from 1: the box is xmin - 1 … xmax
- the ``openimages`` downloader (``<database>OpenImages``): first and last pixel, counted from 0: xmin … xmax + 1
- all others: continuous coordinates: xmin … xmax
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.text import is_file_name
from instseg.core.types import Box, ImageSize, Polygon
from instseg.data.formats.xml_files import parse_xml

MAX_XML_BYTES = 64_000_000
"""Limit for the xml of one image; the largest real ones have a few hundred kB."""
MAX_COORDINATE = 1e6
SHIFTS = ((re.compile(r"VOC\s*20\d\d"), (-1, 0)), (re.compile("OpenImages"), (0, 1)))
"""Pattern of ``<source>`` -> px added to the first and to the last corner."""


@dataclass(frozen=True, slots=True)
class VocObject:
    """One ``<object>``."""

    category: str  # empty if there is none
    box: Box | None  # (4,) xyxy in px, swapped corners fixed; None if unusable
    polygons: list[Polygon]  # its parts; empty if it only has a box
    is_difficult: bool

    def same_as(self, other: VocObject) -> bool:
        """Tell whether both have the same category and box."""
        if self.box is None or other.box is None or self.category != other.category:
            return False
        return np.array_equal(self.box, other.box)


@dataclass(frozen=True, slots=True)
class VocAnnotation:
    """The content of one xml."""

    file_name: str  # without its folders, which may be another machine's; empty if there is none
    image_size: ImageSize | None  # None if it is missing or 0, as some tools write it
    objects: list[VocObject]


def read_voc_xml(path: Path) -> VocAnnotation:
    """Read a VOC xml.

    Raises:
        InstsegError: the file is not xml, has another root than ``<annotation>``, or has a document type.
    """
    root = parse_xml(path, MAX_XML_BYTES)
    if root.tag != "annotation":
        raise InstsegError(f"{path}: expected <annotation>, found <{root.tag}>")
    name = PureWindowsPath((root.findtext("filename") or "").strip()).name  # splits at both kinds of slashes
    source = " ".join(root.findtext(f"source/{tag}") or "" for tag in ("database", "annotation"))
    shift = next((shift for pattern, shift in SHIFTS if pattern.search(source)), (0, 0))
    objects = [_object(entry, shift) for entry in root.findall("object")]
    return VocAnnotation(name if is_file_name(name) else "", _image_size(root), objects)


def _object(entry: ElementTree.Element, shift: tuple[int, int]) -> VocObject:
    parts = [part for element in entry.findall("polygon") if (part := _polygon(element)) is not None]
    return VocObject(
        (entry.findtext("name") or "").strip(),
        _box(entry.find("bndbox"), shift),
        parts,
        (entry.findtext("difficult") or "").strip().lower() in ("1", "true"),
    )


def _box(element: ElementTree.Element | None, shift: tuple[int, int]) -> Box | None:
    if element is None:
        return None
    corners = [_number(element.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax")]
    if None in corners:
        return None
    x1, y1, x2, y2 = corners
    points = np.sort(np.array([[x1, y1], [x2, y2]], dtype=np.float64), axis=0)
    box: Box = (points + np.array(shift)[:, None]).reshape(4)
    return box


def _polygon(element: ElementTree.Element) -> Polygon | None:
    """Read ``<x1> <y1> <x2> <y2> …`` as (P, 2); None if numbers are missing or there are fewer than three points."""
    numbers = {child.tag: _number(child.text) for child in element}
    points = list(_points(numbers))
    if len(points) < 3 or 2 * len(points) != len(numbers):
        return None
    return np.array(points, dtype=np.float64)


def _points(numbers: dict[str, float | None]) -> Iterator[tuple[float, float]]:
    for i in range(1, len(numbers) // 2 + 1):
        x, y = numbers.get(f"x{i}"), numbers.get(f"y{i}")
        if x is None or y is None:
            return
        yield x, y


def _image_size(root: ElementTree.Element) -> ImageSize | None:
    height, width = (_number(root.findtext(f"size/{tag}")) for tag in ("height", "width"))
    if height is None or width is None or height < 1 or width < 1:
        return None
    return round(height), round(width)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= MAX_COORDINATE else None
