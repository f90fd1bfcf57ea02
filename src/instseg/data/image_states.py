"""The state of all image files of a dataset: those that were deleted, replaced or added since are found at a start.

Size and time of the last change tell, of the images that the labels list and of those beside them.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from instseg.core.records import Record
from instseg.core.text import list_names
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import Labels

NO_FILE = ""


class ImageStates(Record, frozen=True, kw_only=True):
    """The content of ``images.json``."""

    folders: dict[str, dict[str, str]]
    """Folder -> name of an image file -> size in bytes and time of the last change (ns); empty: no such file."""

    @property
    def digest(self) -> str:
        """Eight digits that change with every file."""
        lines = (f"{folder}/{name}={state}" for folder, names in self.folders.items() for name, state in names.items())
        text = "\n".join(sorted(lines))
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths of images that are others than before."""

    new: list[str]
    gone: list[str]
    changed: list[str]

    def __len__(self) -> int:
        return len(self.new) + len(self.gone) + len(self.changed)

    def __str__(self) -> str:
        """Return the number of images of each kind, with the first names."""
        kinds = (("new", self.new), ("gone", self.gone), ("changed", self.changed))
        return ", ".join(f"{len(names):,} {kind} ({list_names(names, 2)})" for kind, names in kinds if names)


def image_states(labels: Iterable[Labels]) -> ImageStates:
    """Return the states of the images that labels list, and of all images beside them."""
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for part in labels:
        root = os.path.abspath(part.image_root)  # noqa: PTH100  (Path costs 10 us a file)
        for image in part.coco["images"]:
            folder, _, name = f"{root}/{image['file_name']}".rpartition("/")
            listed[folder].add(name)
    return _states(listed)


def changes_since(before: ImageStates) -> Changes:
    """Return what has changed since the states were noted."""
    changes = Changes([], [], [])
    for folder, found in _states(before.folders).folders.items():
        then = before.folders[folder]
        for name in sorted(found.keys() | then.keys()) if found != then else ():
            was, now = then.get(name, NO_FILE), found.get(name, NO_FILE)
            kind = changes.new if was == NO_FILE else changes.gone if now == NO_FILE else changes.changed
            kind += [f"{folder}/{name}"] if was != now else []
    return changes


def _states(listed: Mapping[str, Iterable[str]]) -> ImageStates:
    return ImageStates(folders={folder: _in_folder(folder, {*names}) for folder, names in listed.items()})


def _in_folder(folder: str, listed: set[str]) -> dict[str, str]:
    """Return the states of the image files of a folder, and of listed files with other extensions."""
    states = {name: NO_FILE for name in listed if not _is_image(name)}
    try:
        entries = [entry for entry in os.scandir(folder) if _is_image(entry.name) or entry.name in states]
    except (OSError, ValueError):  # all of its images are missing, which is told elsewhere
        return states
    return states | {entry.name: state for entry in entries if (state := _state(entry)) != NO_FILE}


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS and not name.startswith(".")  # noqa: PTH122


def _state(entry: os.DirEntry[str]) -> str:
    try:
        stat = entry.stat()
    except OSError:  # such as a link to nothing
        return NO_FILE
    return f"{stat.st_size} {stat.st_mtime_ns}"
