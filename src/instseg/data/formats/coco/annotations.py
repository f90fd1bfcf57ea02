"""Parsing of COCO annotation files: entries that are of no use are left out and named, ids become whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.types import CocoAnnotation, CocoCategory, CocoDict, CocoImage
from instseg.data.formats.coco.ids import Ids, whole_number
from instseg.data.formats.coco.names import image_name
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings

SECTIONS = ("images", "annotations", "categories")
Entry = dict[str, object]
Note = Callable[[str], None]
"""Called with an entry that is left out, and why."""


def read_coco(path: Path, findings: Findings) -> CocoDict:
    """Parse and check one annotation file, see ``checked_coco``.

    Args:
        path: the file.
        findings: gets the entries that are left out.
    """
    return checked_coco(read_json(path), path, findings)


def checked_coco(coco: object, path: Path, findings: Findings) -> CocoDict:
    """Return parsed json with what the index needs: whole ids, file names and category names as text.

    Args:
        coco: the parsed json; changed in place.
        path: the file, for messages.
        findings: gets the entries that are left out.

    Raises:
        InstsegError: it is no COCO file, or none of its images can be used.
    """
    sections = coco if isinstance(coco, dict) else {}
    missing = [key for key in SECTIONS if not isinstance(sections.get(key), list)]
    if missing:
        found = sorted(map(str, sections))[:8] if isinstance(coco, dict) else type(coco).__name__
        raise InstsegError(f"{path}: not a COCO file: no list named {', '.join(missing)}; found {found}")
    if not sections["images"]:
        raise InstsegError(f"{path}: its list of images is empty")
    notes: list[str] = []
    images, image_ids = _images(sections["images"], notes.append)
    if not images:
        raise InstsegError(f"{path}: no entry of images can be used: {notes[0]}")
    categories, category_ids = _categories(sections["categories"], path, notes.append)
    annotations = _annotations(sections["annotations"], image_ids, category_ids, path, notes.append, findings)
    for note in notes:
        findings.add("label_invalid", f"{path.name}: {note}")
    return cast(CocoDict, {**sections, "images": images, "annotations": annotations, "categories": categories})


def _entries(listed: list[object], section: str, note: Note) -> list[tuple[str, Entry]]:
    """Return the place and content of each entry that is an object."""
    entries = []
    for position, entry in enumerate(listed):
        if isinstance(entry, dict):
            entries.append((f"{section}[{position}]", cast(Entry, entry)))
        else:
            note(f"{section}[{position}] is no object: {str(entry)[:60]}")
    return entries


def _images(listed: list[object], note: Note) -> tuple[list[CocoImage], Ids]:
    entries = _entries(listed, "images", note)
    ids = Ids(entry.get("id") for _, entry in entries)
    images: list[CocoImage] = []
    first: dict[int, str] = {}
    for place, entry in entries:
        image_id, name = ids.number(entry.get("id")), image_name(entry)
        if image_id is None or name is None:
            note(f"{place} has no usable {'id' if name else 'file_name'}: {str(entry)[:120]}")
        elif first.setdefault(image_id, name) == name:
            images.append(cast(CocoImage, _sized({**entry, "id": image_id, "file_name": name}, place, note)))
        else:
            note(f"{place} has the id {entry.get('id')} of another image: {first[image_id]}, {name}; both are left out")
            ids.forget(image_id)
    return _without_repeated([image for image in images if ids.knows(image["id"])]), ids


def _without_repeated(images: list[CocoImage]) -> list[CocoImage]:
    """Keep the first of entries with the same id, which have the same name."""
    return list({image["id"]: image for image in reversed(images)}.values())[::-1]


def _sized(entry: Entry, place: str, note: Note) -> Entry:
    """Return an entry whose width and height are whole numbers, or not there."""
    given = {key: entry[key] for key in ("width", "height") if entry.get(key) is not None}
    sizes = {key: whole_number(value) for key, value in given.items()}
    if any(size is None or size < 0 for size in sizes.values()):
        note(f"{place} has a size that is no number: {str(given)[:80]}; that of its file is used")
        sizes = {}
    return {key: value for key, value in entry.items() if key not in ("width", "height")} | dict(sizes)


def _categories(listed: list[object], path: Path, note: Note) -> tuple[list[CocoCategory], Ids]:
    entries = _entries(listed, "categories", note)
    ids = Ids(entry.get("id") for _, entry in entries)
    categories: dict[int, CocoCategory] = {}
    for place, entry in entries:
        category_id, name = ids.number(entry.get("id")), entry.get("name")
        if category_id is None or isinstance(name, bool) or not isinstance(name, str | int):
            note(f"{place} has no usable {'id' if category_id is None else 'name'}: {str(entry)[:120]}")
        elif category_id in categories and categories[category_id]["name"] != str(name):
            raise InstsegError(f"{path}: categories holds the id {entry.get('id')} more than once, for different names")
        else:
            categories[category_id] = cast(CocoCategory, {**entry, "id": category_id, "name": str(name)})
    return list(categories.values()), ids


def _annotations(
    listed: list[object], images: Ids, categories: Ids, path: Path, note: Note, findings: Findings
) -> list[CocoAnnotation]:
    entries = _entries(listed, "annotations", note)
    kept = []
    own = [whole_number(entry.get("id")) for _, entry in entries]
    free = max((number for number in own if number is not None), default=0) + 1
    for (place, entry), number in zip(entries, own, strict=True):
        wrong = [key for key in ("image_id", "category_id") if entry.get(key) is None]
        if wrong:
            note(f"{place} has no usable {', '.join(wrong)}: {str(whole(cast(CocoAnnotation, entry)))[:120]}")
            continue
        if number is None:
            number, free = free, free + 1
        entry["id"] = number
        entry["image_id"] = images.number_or_text(entry["image_id"])
        entry["category_id"] = categories.number_or_text(entry["category_id"])
        kept.append(cast(CocoAnnotation, entry))
    if numbered := own.count(None):
        findings.add("annotation_numbered", f"{path.name} ({numbered} of {len(own)})")
    return kept
