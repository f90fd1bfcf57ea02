"""The state of all image files of a dataset: those that were deleted, replaced or added since are found at a start.

Size and time of the last change tell, of the images that the labels list and of those beside them. A listed image that
is missing may turn up in any folder: files of its name are sought again.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from instseg.core.records import Record
from instseg.core.text import list_names
from instseg.data.reading.folders import walk
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import Labels
from instseg.data.reading.spelling import alike

NO_FILE = ""


class ImageStates(Record, frozen=True, kw_only=True):
    """The content of ``images.json``."""

    folders: dict[str, dict[str, str]]
    """Folder -> name of an image file -> size in bytes and time of the last change (ns); empty: no such file."""
    missing: tuple[str, ...] = ()
    """Names of listed images that are not there, in one spelling and without extension …"""
    roots: tuple[str, ...] = ()
    """… the folders below which readers seek them …"""
    elsewhere: tuple[str, ...] = ()
    """… and the files of these names there, none of which could be meant."""

    @property
    def digest(self) -> str:
        """Eight digits that change with every file."""
        lines = (f"{folder}/{name}={state}" for folder, names in self.folders.items() for name, state in names.items())
        text = "\n".join(sorted([*lines, *self.elsewhere]))
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


def image_states(labels: Iterable[Labels], roots: Iterable[Path]) -> ImageStates:
    """Return the states of the images that labels list, and of all images beside them.

    Args:
        labels: of all splits.
        roots: the folders below which an image that is missing may turn up, in whichever folder.
    """
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for part in labels:
        root = os.path.abspath(part.image_root)  # noqa: PTH100  (Path costs 10 us a file)
        for image in part.coco["images"]:
            folder, _, name = f"{root}/{image['file_name']}".rpartition("/")
            listed[folder].add(name)
    folders = _states(listed)
    absent = (name for folder, names in listed.items() for name in names if not folders[folder].get(name))
    missing = tuple(sorted({_stem(name) for name in absent}))
    sought = tuple(sorted({os.path.abspath(root) for root in roots})) if missing else ()  # noqa: PTH100
    return ImageStates(folders=folders, missing=missing, roots=sought, elsewhere=_of_names(missing, sought))


def changes_since(before: ImageStates) -> Changes:
    """Return what has changed since the states were noted."""
    changes = Changes([], [], [])
    for folder, found in _states(before.folders).items():
        then = before.folders[folder]
        for name in sorted(found.keys() | then.keys()) if found != then else ():
            was, now = then.get(name, NO_FILE), found.get(name, NO_FILE)
            kind = changes.new if was == NO_FILE else changes.gone if now == NO_FILE else changes.changed
            kind += [f"{folder}/{name}"] if was != now else []
    elsewhere = _of_names(before.missing, before.roots)
    changes.new.extend(sorted({*elsewhere} - {*before.elsewhere, *changes.new}))
    changes.gone.extend(sorted({*before.elsewhere} - {*elsewhere, *changes.gone}))
    return changes


def _of_names(stems: Iterable[str], roots: Iterable[str]) -> tuple[str, ...]:
    """Return the image files below folders that have one of these names; nothing is searched for none."""
    wanted = {*stems}
    files = (file for root in roots for file in walk(Path(root)) if _is_image(file.name) and _stem(file.name) in wanted)
    return tuple(sorted({str(file) for file in files})) if wanted else ()


def _stem(name: str) -> str:
    return alike(os.path.splitext(name)[0])  # noqa: PTH122


def _states(listed: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    return {folder: _in_folder(folder, {*names}) for folder, names in listed.items()}


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
