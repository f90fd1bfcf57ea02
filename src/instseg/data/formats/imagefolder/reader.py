"""Reader of Hugging Face's ImageFolder: ``metadata.jsonl`` beside the images, or parquet files that hold them.

Each row has the name of an image (or its bytes) and ``objects``: lists of bbox (x, y, width, height), category and
segmentation (polygons or RLE), or one list of objects. Names of categories come from the schema of the parquet, from
the ``README.md`` of the dataset, or are the categories themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.text import list_names, usable_text
from instseg.core.types import CocoDict
from instseg.data.formats.coco.annotations import checked_coco
from instseg.data.formats.coco.names import relocate
from instseg.data.formats.imagefolder.names import names_of_readme
from instseg.data.formats.imagefolder.parquet import ParquetImages, looks_like_images
from instseg.data.formats.imagefolder.rows import Rows, objects_of
from instseg.data.formats.plain_json import as_object
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_folder, sample_files, split_of, split_of_folders, walk
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.splits.merge import merge_labels, same_categories

METADATA, NUM_PROBED_BYTES = "metadata.jsonl", 1_000_000


def recognise(root: Path) -> str | None:
    """Describe the tables of an ImageFolder; None where there are none with objects."""
    files = sample_files(root) if root.is_dir() else [root]
    if found := next((file for file in files if file.name == METADATA and _has_objects(file)), None):
        return f"Hugging Face's {found.relative_to(root) if root.is_dir() else found.name}"
    found = next((file for file in files if file.suffix == ".parquet" and looks_like_images(file)), None)
    return f"parquet with images ({found.name})" if found else None


def _has_objects(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            line = opened.readline(NUM_PROBED_BYTES)
        row = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "file_name" in row and bool(objects_of(row) or "objects" in row)


@dataclass(frozen=True, slots=True)
class ImageFolderReader:
    """Reader of an ImageFolder; folders and files named train, val and test are splits.

    Attributes:
        root: a folder with such tables at any depth, or one of them.
        cache_dir: where the images of parquet files are written.
        max_unpacked_gb: limit of what a parquet file becomes, see ``check_unpacked_size``.
    """

    FORMAT: ClassVar[str] = "imagefolder"
    VERSION: ClassVar[int] = 2
    root: Path
    cache_dir: str | None = None
    max_unpacked_gb: float | None = None

    def label_files(self) -> list[Path]:
        """Return the tables.

        Raises:
            InstsegError: there is none.
        """
        if self.root.is_file():
            return [self.root]
        check_folder(self.root)
        files = [file for file in walk(self.root) if file.name == METADATA or file.suffix == ".parquet"]
        if not files:
            found = list_names(sorted(path.name for path in self.root.iterdir()))
            raise InstsegError(f"{self.root}: expected {METADATA} beside images, or parquet files; found {found}")
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all tables."""
        home = self.root.parent if self.root.is_file() else self.root
        parts: dict[str, list[Labels]] = {}
        for file in self.label_files():
            split = split_of_folders(file, home) or split_of(file, home) or UNSPLIT
            parts.setdefault(split, []).append(self._read(file, home, findings[split]))
        labels = same_categories({split: merge_labels(some) for split, some in parts.items()})
        if not any(part.coco["annotations"] for part in labels.values()):
            raise InstsegError(f"{self.root}: no row of {list_names(f.name for f in self.label_files())} has an object")
        return labels

    def _read(self, file: Path, home: Path, findings: Findings) -> Labels:
        if file.suffix == ".parquet":
            cache_dir = None if self.cache_dir is None else Path(self.cache_dir)
            images = ParquetImages(file, cache_dir, self.max_unpacked_gb)
            rows, folder = Rows(images.names or names_of_readme(home)), images.folder
            for name, row in images.read(findings):
                rows.add(name, row)
        else:
            rows, folder = Rows(names_of_readme(home)), file.parent
            for name, row in _lines(file, findings):
                rows.add(name, row)
        coco = _coco(rows, file, findings)
        return Labels(coco, relocate(coco["images"], folder, folder, None, findings))


def _lines(file: Path, findings: Findings) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(read_lines(file), start=1):
        try:
            row = as_object(json.loads(line))
        except (ValueError, RecursionError):
            row = {}
        name = usable_text(row.get("file_name"))
        if name:
            yield name, row
        else:
            findings.add("label_invalid", f"{file.name}: line {number} has no file_name")


def _coco(rows: Rows, file: Path, findings: Findings) -> CocoDict:
    categories = [{"id": number, "name": name} for name, number in rows.ids.items()]
    unnamed = [name for name in rows.ids if name.startswith("class_")] if not rows.names else []
    for name in unnamed:
        findings.add("category_unnamed", name)
    return checked_coco(
        {"images": rows.images, "annotations": rows.annotations, "categories": categories}, file, findings
    )
