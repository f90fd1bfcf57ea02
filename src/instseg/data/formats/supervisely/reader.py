"""Reader of Supervisely: ``meta.json``, and in each dataset ``img/`` and ``ann/<image>.json``.

Polygons (their interiors are holes), rectangles, ellipses and bitmaps are read. A dataset, or a tag of an image, called
train, val or test is a split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.files import read_head, read_json
from instseg.core.text import usable_text
from instseg.data.formats.image_labels import ImageLabels, read_in_threads, usable_labels
from instseg.data.formats.plain_json import as_list, as_object, size_of
from instseg.data.formats.supervisely.shapes import OPEN_SHAPES, read_geometry
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_folder, split_named, split_of_folders, walk
from instseg.data.reading.labels import UNSPLIT, Labels

ANNOTATIONS, IMAGES, NUM_PROBED = "ann", "img", 5


def recognise(root: Path) -> str | None:
    """Describe a Supervisely project; None where there is no annotation of one."""
    if not root.is_dir():
        return None
    folders = [folder for pattern in (ANNOTATIONS, f"*/{ANNOTATIONS}") for folder in sorted(root.glob(pattern))]
    files = (file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.json")))
    return "a Supervisely project" if any(map(_is_annotation, islice(files, NUM_PROBED))) else None


def _is_annotation(file: Path) -> bool:
    head = read_head(file)
    return b'"objects"' in head and b'"size"' in head


@dataclass(frozen=True, slots=True)
class SuperviselyReader:
    """Reader of a project or of one of its datasets.

    Attributes:
        root: the folder with ``meta.json``, or one with ``img/`` and ``ann/``.
    """

    FORMAT: ClassVar[str] = "supervisely"
    VERSION: ClassVar[int] = 1
    root: Path

    def label_files(self) -> list[Path]:
        """Return the annotations.

        Raises:
            InstsegError: there is none.
        """
        check_folder(self.root)
        files = [file for file in walk(self.root) if file.parent.name == ANNOTATIONS and file.suffix == ".json"]
        if not files:
            raise InstsegError(f"{self.root}: expected annotations of Supervisely, DATASET/ann/*.json; found none")
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all annotations."""
        files, finder = self.label_files(), ImageFinder(self.root)
        builders = read_in_threads(partial(_read_image, self.root, finder), files, findings)
        return usable_labels(builders, self.root, findings, f"{self.root}: labels of Supervisely")


def _read_image(root: Path, finder: ImageFinder, file: Path) -> ImageLabels:
    name = (file.parent.with_name(IMAGES) / file.stem).relative_to(root).as_posix()
    found = finder.find(name) or finder.find(f"{name}.jpg") or name
    labels = ImageLabels(found, split_of_folders(root / found, root) or UNSPLIT)
    try:
        content = as_object(read_json(file))
    except InstsegError as error:
        labels.leave_out("label_invalid", str(error))
        return labels
    if "objects" not in content:
        labels.leave_out("label_file_foreign", str(file.relative_to(root)))
        return labels
    labels.split = _split_of(as_list(content.get("tags"))) or labels.split
    size = as_object(content.get("size"))
    labels.image_size = size_of(size.get("height"), size.get("width"))
    for number, entry in enumerate(as_list(content["objects"]), start=1):
        _add_object(labels, as_object(entry), f"{found}: object {number}")
    return labels


def _split_of(tags: Iterable[object]) -> str | None:
    names = (usable_text(as_object(tag).get("name")) for tag in tags)
    return next((split for name in names if (split := split_named(name))), None)


def _add_object(labels: ImageLabels, entry: Mapping[str, object], where: str) -> None:
    category, kind = usable_text(entry.get("classTitle")), usable_text(entry.get("geometryType"))
    if not category.strip():
        labels.report("category_missing", where)
    elif kind in OPEN_SHAPES:
        labels.report("shape_open", f"{where} ({kind})")
    else:
        try:
            labels.add(category, read_geometry(kind, entry, labels.image_size))
        except InstsegError as error:
            labels.report("shape_invalid", f"{where}: {error}")
