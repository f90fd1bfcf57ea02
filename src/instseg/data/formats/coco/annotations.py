"""Parsing of COCO annotation files, and the checks of what the index needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.types import CocoAnnotation, CocoDict
from instseg.data.reading.coco_text import whole

MAX_ID = 2**63 - 1
Kind = type | tuple[type, ...]
REQUIRED_KEYS: dict[str, dict[str, Kind]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int},
    "categories": {"id": int, "name": (str, int)},
}


def read_coco(path: Path) -> CocoDict:
    """Parse and check one annotation file; file names stay as they are, category names become text."""
    return checked_coco(read_json(path), path)


def checked_coco(coco: object, path: Path) -> CocoDict:
    """Check that parsed json has what the index needs, and turn category names into text.

    Args:
        coco: the parsed json; changed in place.
        path: the file, for messages.

    Raises:
        InstsegError: something is missing or has another type.
    """
    sections = coco if isinstance(coco, dict) else {}
    missing = [key for key in REQUIRED_KEYS if not isinstance(sections.get(key), list)]
    if missing:
        found = sorted(sections)[:8] if isinstance(coco, dict) else type(coco).__name__
        raise InstsegError(f"{path}: not a COCO file: no list named {', '.join(missing)}; found {found}")
    _check_sections(sections, path)
    return cast(CocoDict, sections)


def _check_sections(coco: dict[str, list[dict[str, object]]], path: Path) -> None:
    if not coco["images"]:
        raise InstsegError(f"{path}: its list of images is empty")
    for section, keys in REQUIRED_KEYS.items():
        _check_entries(coco[section], keys, f"{path}: {section}")
    for section in ("images", "categories"):  # annotations are never looked up by id
        _check_ids([entry["id"] for entry in coco[section]], f"{path}: {section}")
    for category in coco["categories"]:
        category["name"] = str(category["name"])


def _check_entries(entries: Sequence[object], keys: Mapping[str, Kind], where: str) -> None:
    for position, entry in enumerate(entries):
        has = entry if isinstance(entry, dict) else {}
        wrong = [key for key, kind in keys.items() if not _is_usable(has.get(key), kind)]
        if wrong:
            found = str(whole(cast(CocoAnnotation, entry)) if has else entry)[:120]
            raise InstsegError(f"{where}[{position}] has no usable {', '.join(wrong)}: {found}")


def _is_usable(value: object, kind: Kind) -> bool:
    return isinstance(value, kind) and (not isinstance(value, int) or abs(value) <= MAX_ID)


def _check_ids(ids: list[object], where: str) -> None:
    twice = [entry_id for entry_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise InstsegError(f"{where} holds the id {twice[0]} more than once")
