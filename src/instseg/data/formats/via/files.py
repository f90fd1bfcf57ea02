"""Parsing of VIA files (VGG Image Annotator): projects of version 2 and 3, json and csv exports of version 1 and 2.

Schemas: robots.ox.ac.uk/~vgg/software/via, CodeDoc.md and via.js of each version. All are converted to the form of
version 2, in which a region is a ``shape`` such as {name: rect, x, y, width, height} with its ``attributes``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.files import read_head, read_json
from instseg.core.text import usable_text
from instseg.data.formats.plain_json import as_object
from instseg.data.reading.findings import Findings

CSV_COLUMNS = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
MAX_CSV_FIELD = 2**31 - 1  # a polygon of 15,000 points exceeds the default

SHAPES_OF_NUMBERS = {2: ("rect", "x y width height"), 3: ("circle", "cx cy r"), 4: ("ellipse", "cx cy rx ry")}
SHAPES_OF_POINTS = {1: "point", 5: "line", 6: "polyline", 7: "polygon", 8: "extreme_rect", 9: "extreme_circle"}
"""Shape numbers of version 3, whose regions are such a number followed by coordinates."""


@dataclass(frozen=True, slots=True)
class Region:
    """A region in the form of version 2."""

    shape: Mapping[str, object]
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a VIA file.

    Attributes:
        file_name: with or without folders, or a URL.
        num_bytes: size of the image file, by which VIA distinguishes images of one name.
        regions: its labels.
    """

    file_name: str
    num_bytes: int | None
    regions: list[Region]


def looks_like_via(path: Path) -> bool:
    """Tell from the head of a file whether it is VIA's; never raises."""
    head = read_head(path).removeprefix(b"\xef\xbb\xbf")
    if path.suffix.lower() == ".csv":
        return head.lstrip(b"# ").startswith(CSV_COLUMNS.encode())
    exported = b'"filename"' in head and b'"size"' in head and (b'"regions"' in head or b'"fileref"' in head)
    return b'"_via_img_metadata"' in head or b'"_via_settings"' in head or b'"vid_list"' in head or exported


def read_entries(path: Path, findings: Findings) -> list[Entry]:
    """Read all images of one VIA file.

    Args:
        path: a project or an export.
        findings: gets the entries that are invalid.

    Raises:
        InstsegError: the file is not as VIA writes it.
    """
    if path.suffix.lower() == ".csv":
        return list(_entries_of_csv(path, findings))
    content = read_json(path)
    if not isinstance(content, dict):
        raise InstsegError(f"{path}: expected an object, found {type(content).__name__}")
    if {"metadata", "view", "file"} <= content.keys():
        return list(_entries_of_version_3(content, path, findings))
    images = content.get("_via_img_metadata", content)
    if not isinstance(images, dict):
        raise InstsegError(f"{path}: _via_img_metadata is not an object but {type(images).__name__}")
    options = _options(as_object(content.get("_via_attributes")).get("region"))
    return list(_entries_of_json(images, options, path, findings))


def _entries_of_json(
    images: Mapping[str, object], options: Mapping[str, Mapping[str, object]], path: Path, findings: Findings
) -> Iterator[Entry]:
    for key, entry in images.items():
        image = as_object(entry)
        regions = image.get("regions")
        listed = list(regions.values()) if isinstance(regions, dict) else regions  # an object in version 1
        name = usable_text(image.get("filename"))
        if not name or not isinstance(listed, list):
            findings.add("label_invalid", f"{path}: {key[:80]!r} has no filename or no regions")
            continue
        size = image.get("size")
        read = [
            Region(as_object(region.get("shape_attributes")), _named(region.get("region_attributes"), options))
            for region in map(as_object, listed)
        ]
        yield Entry(name, size if type(size) is int else None, read)


def _entries_of_csv(path: Path, findings: Findings) -> Iterator[Entry]:
    """Read the csv: one row for each region; an image without regions has one with an empty shape."""
    entries: dict[tuple[str, str], Entry] = {}
    for number, row in enumerate(_rows(path), start=1):
        if number == 1 or not row:
            continue
        try:
            *parts, size, _, _, _, shape, attributes = row
            name = usable_text(",".join(parts))  # VIA does not quote commas in it
            if not name:
                raise ValueError("no filename")
            region = Region(as_object(json.loads(shape)), as_object(json.loads(attributes)))
        except (ValueError, RecursionError) as error:
            findings.add("label_invalid", f"{path}: row {number}: {error}")
            continue
        entry = entries.setdefault((name, size), Entry(name, int(size) if size.isdecimal() else None, []))
        if region.shape:
            entry.regions.append(region)
    yield from entries.values()


def _rows(path: Path) -> list[list[str]]:
    limit = csv.field_size_limit(MAX_CSV_FIELD)  # global to the process
    try:
        return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InstsegError(f"{path}: not a csv file in UTF-8: {error}") from error
    finally:
        csv.field_size_limit(limit)


def _entries_of_version_3(content: Mapping[str, object], path: Path, findings: Findings) -> Iterator[Entry]:
    """Read version 3. A view shows one file or several to compare; regions of the latter have no definite image."""
    files, views = as_object(content["file"]), as_object(content["view"])
    declared = {key: as_object(value) for key, value in as_object(content.get("attribute")).items()}
    names = {key: usable_text(value.get("aname")) or key for key, value in declared.items()}
    options = _options(declared)
    regions: dict[str, list[Region]] = {view: [] for view in views}
    for key, region in as_object(content["metadata"]).items():
        view, place = str(as_object(region).get("vid")), as_object(region).get("xy")
        if not isinstance(place, list) or as_object(region).get("z") or view not in regions:
            findings.add("label_invalid", f"{path}: {key[:80]!r} is not a region of an image")
        elif place:
            values = _named(as_object(region).get("av"), options)
            attributes = {names.get(key, key): value for key, value in values.items()}
            regions[view].append(Region(_shape_of_version_3(place), attributes))
    for view, shown_files in views.items():
        listed = as_object(shown_files).get("fid_list")
        file = as_object(files.get(str(listed[0]))) if isinstance(listed, list) and len(listed) == 1 else {}
        name = usable_text(file.get("fname")) or usable_text(file.get("src"))
        if name:
            yield Entry(name, None, regions[view])
        else:
            findings.add("label_invalid", f"{path}: view {view[:80]!r} does not show one image")


def _shape_of_version_3(place: list[object]) -> dict[str, object]:
    kind, numbers = place[0], place[1:]
    if type(kind) is int and kind in SHAPES_OF_NUMBERS:
        name, keys = SHAPES_OF_NUMBERS[kind]
        return {"name": name, **dict(zip(keys.split(), numbers, strict=False))}
    name = SHAPES_OF_POINTS.get(kind, "unknown") if type(kind) is int else "unknown"
    return {"name": name, "all_points_x": numbers[::2], "all_points_y": numbers[1::2]}


def _options(declared: object) -> dict[str, Mapping[str, object]]:
    """Return the options of each attribute that is a list: id -> displayed text."""
    return {key: as_object(as_object(value).get("options")) for key, value in as_object(declared).items()}


def _named(attributes: object, options: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Replace options whose id is a number by their displayed text."""
    named = dict(as_object(attributes))
    for key, value in named.items():
        if isinstance(value, str) and value.isdecimal():
            named[key] = usable_text(options.get(key, {}).get(value)) or value
    return named
