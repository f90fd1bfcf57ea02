"""``dataset=auto``: tell the format of a folder, say what was found, and read it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.files import CACHE_TAG
from instseg.core.text import list_names, plural
from instseg.data.formats.drawing_tools import DRAWING_TOOLS
from instseg.data.formats.foreign import foreign_format
from instseg.data.formats.image_sets import IMAGE_SETS
from instseg.data.formats.several_exports import read_together
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_folder
from instseg.data.reading.labels import Labels
from instseg.data.reading.readers import LabelReader, make_reader

log = logging.getLogger(__name__)

FORMATS: dict[str, tuple[ModuleType, type[LabelReader]]] = {**DRAWING_TOOLS, **IMAGE_SETS}
"""Name, as in ``dataset=<name>`` -> its module and its reader.

The module has ``recognise(root: Path) -> str | None``: a phrase about the label files at ``root``, such as
"3 COCO json", or None where they are of another format.
"""

MAX_EXPORTS = 100
READERS_VERSION = sum(reader.VERSION for _, reader in FORMATS.values())
"""Version of a reader of any of the formats: it rises with the version of each."""

MORE_GENERAL = {
    "labelstudio": "coco",
    "coco": "panoptic",
    "supervisely": "labelme",
    "darwin": "labelme",
    **dict.fromkeys(("voc", "openimages", "yolo", "supervisely", "panoptic", "datumaro", "cvat"), "mask_folder"),
}
"""Format -> a more general one that recognises its folders too; the more general one gives way."""


def recognise_format(root: Path) -> tuple[str, str]:
    """Return the name of a format, and a phrase about the files that were found.

    Raises:
        InstsegError: no format, or more than one, fits.
    """
    if not root.is_file():
        check_folder(root)
    found = _recognised(root)
    if len(found) == 1:
        return next(iter(found.items()))
    exports, num_unseen = _exports_in(root)
    if found:
        listed = "; ".join(f"dataset={name} ({phrase})" for name, phrase in found.items())
        every = (
            read_together([*exports])
            if len(exports) > 1
            else "dataset=multi (an image that several label is read once)"
        )
        raise InstsegError(f"{root}: labels of more than one format. Choose {listed}, or read all with {every}")
    if exports:
        listed = ", ".join(f"{folder.name} ({name})" for folder, name in exports.items())
        listed += f", and maybe others of {plural(num_unseen, 'folder')} that were not looked at" if num_unseen else ""
        every = f", or read all with {read_together([*exports])}" if len(exports) > 1 else ""
        raise InstsegError(f"{root}: its folders hold labels: {listed}. Give one of them as dataset.root{every}")
    if foreign := foreign_format(root):
        raise InstsegError(f"{root}: {foreign}")
    if root.is_file():
        folder = shlex.quote(f"dataset.root={root.parent}")
        raise InstsegError(f"{root}: no labels of a whole dataset; if it labels one image of many, give {folder}")
    names = sorted(path.name for path in root.iterdir())
    raise InstsegError(
        f"{root}: no labels found in any known format ({', '.join(FORMATS)}); it holds {list_names(names)}. If the "
        "labels lie deeper, give that folder; images without labels are labelled by "
        f"{typed_command('predict')} … save=[labelme]"
    )


def _recognised(root: Path) -> dict[str, str]:
    """Return the formats that fit, each with a phrase about its files."""
    found = {name: phrase for name, (module, _) in FORMATS.items() if (phrase := module.recognise(root))}
    for name, general in MORE_GENERAL.items():
        if name in found:
            found.pop(general, None)
    return found


def _exports_in(root: Path) -> tuple[dict[Path, str], int]:
    """Return the folders in a root that are in one format each, and how many were too many to look at."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    folders = [folder for folder in folders if not (folder / CACHE_TAG).exists() and not folder.name.startswith(".")]
    formats = {folder: [*_recognised(folder)] for folder in folders[:MAX_EXPORTS]}
    exports = {folder: names[0] for folder, names in formats.items() if len(names) == 1}
    return exports, max(len(folders) - MAX_EXPORTS, 0)


@dataclass(frozen=True, slots=True)
class AutoReader:
    """Reader of a root in any format, which it recognises."""

    FORMAT: ClassVar[str] = "auto"
    VERSION: ClassVar[int] = READERS_VERSION
    root: Path
    cache_dir: str
    max_unpacked_gb: float | None = None

    def label_files(self) -> Iterable[Path]:
        """Return the label files of the format that the root is in."""
        name, phrase = recognise_format(self.root)
        log.info("%s: found %s; dataset=%s reads it too and has its options", self.root, phrase, name)
        return self._reader(name).label_files()

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the labels with the reader of the format that the root is in."""
        return self.chosen().read(findings)

    def chosen(self) -> LabelReader:
        """Return the reader of the format that the root is in."""
        return self._reader(recognise_format(self.root)[0])

    def _reader(self, name: str) -> LabelReader:
        return reader_of(name, self.root, {}, Path(self.cache_dir), self.max_unpacked_gb)


def reader_of(
    name: str, root: Path, options: Mapping[str, object], cache_dir: Path, max_unpacked_gb: float | None = None
) -> LabelReader:
    """Make the reader of a format.

    Args:
        name: of the format, ``auto`` included.
        root: of the labels.
        options: of the format.
        cache_dir: for readers that keep files.
        max_unpacked_gb: for readers that unpack them.

    Raises:
        InstsegError: there is no such format, or it has no such option.
    """
    if name == "auto":
        name = recognise_format(root)[0]
    if name not in FORMATS:
        raise InstsegError(f"dataset.sources: format {name!r} is not known; expected auto, {', '.join(FORMATS)}")
    return make_reader(FORMATS[name][1], root, options, cache_dir, max_unpacked_gb)
