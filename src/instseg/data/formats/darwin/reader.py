"""Reader of V7's Darwin, versions 1 and 2: a json for each image, beside it or in a folder of its own.

Polygons (paths within paths are holes), bounding boxes, ellipses and raster layers are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.files import read_head, read_json
from instseg.core.text import usable_text
from instseg.core.types import Rle
from instseg.data.formats.darwin.shapes import OPEN_SHAPES, raster_masks, read_shape
from instseg.data.formats.image_labels import ImageLabels, read_in_threads, usable_labels
from instseg.data.formats.plain_json import as_list, as_object, size_of
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_folder, sample_files, split_of_folders, walk
from instseg.data.reading.labels import UNSPLIT, Labels

NUM_PROBED = 5


def recognise(root: Path) -> str | None:
    """Describe the Darwin json below ``root``; None unless they are most of a sample of all json."""
    files = [file for file in sample_files(root) if file.suffix.lower() == ".json"] if root.is_dir() else []
    sample = files[:: max(1, len(files) // NUM_PROBED)][:NUM_PROBED]
    return "Darwin json" if sum(map(_is_darwin, sample)) * 2 > len(sample) else None


def _is_darwin(file: Path) -> bool:
    head = read_head(file)
    is_version_2 = b'"item"' in head and b'"slots"' in head
    is_version_1 = b'"dataset"' in head and b'"image"' in head and b'"workview_url"' in head
    return b'"annotations"' in head and (is_version_1 or is_version_2)


@dataclass(frozen=True, slots=True)
class DarwinReader:
    """Reader of Darwin json; folders named train, val and test are splits.

    Attributes:
        root: a folder with json at any depth.
    """

    FORMAT: ClassVar[str] = "darwin"
    VERSION: ClassVar[int] = 1
    root: Path

    def label_files(self) -> list[Path]:
        """Return the json.

        Raises:
            InstsegError: there is none.
        """
        check_folder(self.root)
        files = [file for file in walk(self.root) if file.suffix.lower() == ".json" and _is_darwin(file)]
        if not files:
            raise InstsegError(f"{self.root}: expected Darwin json (item, annotations), found none")
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all json."""
        finder = ImageFinder(self.root)
        builders = read_in_threads(partial(_read_image, self.root, finder), self.label_files(), findings)
        return usable_labels(builders, self.root, findings, f"{self.root}: labels of Darwin")


def _read_image(root: Path, finder: ImageFinder, file: Path) -> ImageLabels:
    labels = ImageLabels(f"{file.stem}.jpg", split_of_folders(file, root) or UNSPLIT)
    try:
        content = as_object(read_json(file))
    except InstsegError as error:
        labels.leave_out("label_invalid", str(error))
        return labels
    _describe_image(labels, content, file, root, finder)
    entries = [as_object(entry) for entry in as_list(content.get("annotations"))]
    masks = _raster_masks(labels, entries)
    for number, entry in enumerate(entries, start=1):
        _add_shape(labels, entry, masks, f"{labels.file_name}: annotation {number}")
    return labels


def _describe_image(
    labels: ImageLabels, content: Mapping[str, object], file: Path, root: Path, finder: ImageFinder
) -> None:
    """Set the name, the split and the size of the image that a file is about."""
    item = as_object(content.get("item")) or as_object(content.get("image"))
    slot = as_object(next(iter(as_list(item.get("slots"))), item))
    folder = usable_text(item.get("path")).strip("/")
    name = usable_text(item.get("name") or item.get("filename")) or labels.file_name
    wanted = str(PurePosixPath(folder) / PurePosixPath(name.replace("\\", "/")).name)
    near = file.parent.relative_to(root).as_posix()
    labels.file_name = finder.find(wanted, near) or finder.find(f"{file.stem}.jpg", near) or wanted
    labels.split = split_of_folders(root / labels.file_name, root) or labels.split
    labels.image_size = size_of(slot.get("height"), slot.get("width"))


def _raster_masks(labels: ImageLabels, entries: list[Mapping[str, object]]) -> dict[str, Rle]:
    try:
        return raster_masks(entries, labels.image_size)
    except InstsegError as error:
        labels.report("shape_invalid", f"{labels.file_name}: raster layer: {error}")
        return {}


def _add_shape(labels: ImageLabels, entry: Mapping[str, object], masks: Mapping[str, Rle], where: str) -> None:
    if "raster_layer" in entry or "tag" in entry:
        return
    try:
        mask = masks.get(usable_text(entry.get("id"))) if "mask" in entry else None
        shape = read_shape(entry) if mask is None else mask
    except InstsegError as error:
        labels.report("shape_invalid", f"{where}: {error}")
        return
    category = usable_text(entry.get("name"))
    if shape is None:
        labels.report("shape_open", f"{where} ({', '.join(kind for kind in OPEN_SHAPES if kind in entry)})")
    elif category.strip():
        labels.add(category, shape)
    else:
        labels.report("category_missing", where)
