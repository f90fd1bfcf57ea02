"""``masks.json``, the categories of mask values, as ``predict.py … save=[masks]`` writes it beside its masks.

``{"image_folder": "…", "images": {"a.jpg": {"mask": "masks/a.png", "instances": [{"value": 1, "category": "car"}]}}}``
with image paths relative to ``image_folder`` and mask paths relative to the folder of the json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from instseg.core.errors import InstsegError
from instseg.core.files import clean_file_name, read_json
from instseg.core.text import is_file_name, list_names, usable_text

NAME = "masks.json"
NUM_PROBED_BYTES = 4096

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ListedMask:
    """One mask and the categories of its values."""

    image: str  # path from the image folder
    mask: Path
    categories: dict[int, str]  # pixel value -> category


@dataclass(frozen=True, slots=True)
class MaskList:
    """The content of a ``masks.json``."""

    image_folder: Path
    masks: list[ListedMask]


def find_mask_json(root: Path) -> Path | None:
    """Find ``masks.json`` in ``root`` or one folder below; None if there is none.

    Raises:
        InstsegError: there are several.
    """
    found = [path for path in (root / NAME, *sorted(root.glob(f"*/{NAME}"))) if path.is_file()]
    if len(found) > 1:
        raise InstsegError(
            f"{root}: more than one {NAME}: {list_names(found)}. Give the folder of one; dataset=multi joins them"
        )
    return found[0] if found else None


def looks_like_mask_json(path: Path) -> bool:
    """Tell from the head of a file whether it is such a json."""
    try:
        with path.open("rb") as file:
            return b'"image_folder"' in file.read(NUM_PROBED_BYTES)
    except OSError:
        return False


def read_mask_json(path: Path) -> MaskList:
    """Read a ``masks.json``.

    Raises:
        InstsegError: it is damaged, or a name leads out of its folder.
    """
    content = read_json(path)
    image_folder = usable_text(_get(content, "image_folder", str, str(path)))
    images = _get(content, "images", dict, str(path))
    masks = [_listed(image, entry, path) for image, entry in images.items()]
    return MaskList(path.parent / image_folder, masks)


def _listed(image: str, entry: object, path: Path) -> ListedMask:
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


def _get(entry: object, key: str, kind: type[Value], where: str) -> Value:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(value, kind):
        raise InstsegError(f"{where}: expected {key!r} as {kind.__name__}, found {str(entry)[:120]}")
    return value
