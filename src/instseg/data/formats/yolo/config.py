"""Parsing of the yaml of a YOLO dataset, and the names of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.text import list_names, plural, usable_text

SPLIT_KEYS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
CLASS_FILES = ("classes.txt", "obj.names")
MAX_CONFIG_BYTES = 2_000_000
MAX_CLASSES = 100_000


def find_configs(root: Path) -> Iterator[Path]:
    """Yield the yaml files that describe a dataset, at the top or else one folder deeper."""
    for pattern in ("*.y*ml", "*/*.y*ml"):
        found = [path for path in sorted(root.glob(pattern)) if path.is_file() and _is_config(path)]
        if found:
            yield from found
            return


def _is_config(path: Path) -> bool:
    try:
        return bool(read_config(path))
    except InstsegError:
        return False


def read_config(path: Path) -> dict[str, object]:
    """Read a yaml that describes a dataset.

    Raises:
        InstsegError: it is not such a yaml.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InstsegError(f"larger than {MAX_CONFIG_BYTES} bytes")
        content = yaml.safe_load(path.read_bytes())
    except Exception as error:  # invalid yaml raises nearly anything
        raise InstsegError(f"{path}: not a readable yaml file: {error or type(error).__name__}") from error
    keys = content.keys() if isinstance(content, dict) else set()
    splits = [key for names in SPLIT_KEYS.values() for key in names if key in keys]
    if not splits or not {"names", "nc"} & keys:
        raise InstsegError(f"{path}: expected a YOLO dataset with train, val and names")
    return dict(content)


def names_of_config(config: Mapping[str, object], path: Path) -> dict[int, str]:
    """Read the names of a yaml: a list, or a mapping from index to name.

    Args:
        config: the content of the yaml.
        path: the yaml, for messages.

    Returns:
        Class index -> name.

    Raises:
        InstsegError: the names are invalid, or ``nc`` is another number.
    """
    names = config.get("names")
    if not names:
        return {}
    listed = dict(enumerate(names)) if isinstance(names, list) else names
    invalid = InstsegError(f"{path}: names must be a list, or map class indices to names")
    if not isinstance(listed, dict):
        raise invalid
    try:
        read = {int(key): usable_text(str(name) if type(name) is int else name) for key, name in listed.items()}
    except (TypeError, ValueError) as error:
        raise invalid from error
    if not all(name.strip() for name in read.values()) or min(read) < 0:
        raise InstsegError(f"{path}: names must be texts, by indices from 0; found {list_names(read.items())}")
    num_classes = config.get("nc")
    if num_classes is not None and num_classes != len(read):
        declared = num_classes if type(num_classes) is int else type(num_classes).__name__
        raise InstsegError(
            f"{path}: nc is {declared}, but the file has {plural(len(read), 'name')}: {list_names(read.values())}"
        )
    return read


def names_of_files(folder: Path, files: list[Path]) -> dict[int, str]:
    """Read the names of ``classes.txt`` or ``obj.names``, in the folder or in its ``labels/``.

    Args:
        folder: of the dataset.
        files: the file that was read is appended.

    Returns:
        Class index -> name, empty if there is no such file.
    """
    places = (folder / sub / name for sub in (".", "labels") for name in CLASS_FILES)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return {}
    files.append(found)
    return {index: name for index, name in enumerate(read_lines(found, keep_empty=True)) if name}


def numbered_names(num_classes: object) -> dict[int, str]:
    """Return the names that Ultralytics gives classes without one: class index -> ``class_<index>``."""
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes > MAX_CLASSES:
        return {}
    return {index: f"class_{index}" for index in range(num_classes)}
