"""``masks.json``: which value of which mask is what, as ``predict.py … save=[masks]`` writes it beside its masks.

``{"image_folder": "…", "images": {"a.jpg": {"mask": "masks/a.png", "instances": [{"value": 1, "category": "car"}]}}}``
with images named from ``image_folder`` and masks from the folder of the json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import clean_file_name, is_file_name, list_names, usable_text

NAME = "masks.json"
NUM_PROBED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ListedMask:
    image: str  # path from the image folder
    mask: Path
    categories: dict[int, str]  # pixel value -> category


@dataclass(frozen=True, slots=True)
class MaskList:
    image_folder: Path
    masks: list[ListedMask]


def find_mask_json(root: Path) -> Path | None:
    """In ``root`` or one folder below; InstsegError when there are several."""
    found = [path for path in (root / NAME, *sorted(root.glob(f"*/{NAME}"))) if path.is_file()]
    if len(found) > 1:
        raise InstsegError(
            f"{root}: more than one {NAME}: {list_names(found)}. Give the folder of one; dataset=multi joins them"
        )
    return found[0] if found else None


def looks_like_mask_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"image_folder"' in file.read(NUM_PROBED_BYTES)
    except OSError:
        return False


def read_mask_json(path: Path) -> MaskList:
    """InstsegError for what is no such json; of names that lead out of their folder too."""
    content = read_json(path)
    image_folder = usable_text(_get(content, "image_folder", str, str(path)))
    images = _get(content, "images", dict, str(path))
    masks = [_listed(image, entry, path) for image, entry in images.items()]
    return MaskList(path.parent / image_folder, masks)


def _listed(image: str, entry: Any, path: Path) -> ListedMask:
    where = f"{path}: images[{image!r}]"
    mask = _file_name(_get(entry, "mask", str, where), path)
    instances = _get(entry, "instances", list, where)
    categories = {_get(i, "value", int, where): usable_text(_get(i, "category", str, where)).strip() for i in instances}
    return ListedMask(_file_name(image, path), path.parent / mask, categories)


def _file_name(text: str, path: Path) -> str:
    name = clean_file_name(usable_text(text), path)
    if not all(map(is_file_name, PurePosixPath(name).parts)):
        raise InstsegError(f"{path}: {name[:60]}… is too long for a file name")
    return name


def _get(entry: Any, key: str, kind: type, where: str) -> Any:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(value, kind):
        raise InstsegError(f"{where}: expected {key!r} as {kind.__name__}, found {str(entry)[:120]}")
    return value
