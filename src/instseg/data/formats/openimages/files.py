"""Local files of an Open Images folder, and the rows of its tables about the images among them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from instseg.data.formats.image_labels import report_unlabelled
from instseg.data.formats.openimages.tables import BOXES, SEGMENTATION, BoxRow, kind_of, read_boxes, read_masks
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_folder, split_named, split_of_folders, walk
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import UNSPLIT

MASK_NAME = re.compile(r"(?P<image>[^_]+)_(?P<kind>[a-z])(?P<class>[0-9a-z_]+)_(?P<box>[0-9a-f]{8})\.png")
"""``00b4bda029a7aeda_m0pg52_bf988231.png``: class /m/0pg52."""


@dataclass(slots=True)
class OpenImagesFiles:
    """All files below ``root``, as posix paths from there."""

    root: Path
    tables: defaultdict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    images: dict[str, str] = field(default_factory=dict)  # by ImageID
    image_files: dict[str, str] = field(default_factory=dict)  # images and masks, by file name
    masks: list[str] = field(default_factory=list)  # file names of the official form


@dataclass(slots=True)
class OpenImage:
    """An image with its masks and boxes."""

    name: str
    split: str
    masks: dict[str, str] = field(default_factory=dict)  # file name -> LabelName
    boxes: dict[BoxRow, None] = field(default_factory=dict)  # an ordered set: a row in several tables counts once


def find_files(root: Path) -> OpenImagesFiles:
    """Find the tables, images and masks below ``root``; an image in the folders of several classes counts once."""
    check_folder(root)
    files = OpenImagesFiles(root)
    for path in walk(root):
        kind = kind_of(path.name)
        if kind is not None:
            files.tables[kind].append(path)
        elif path.suffix.lower() in IMAGE_EXTENSIONS:
            name = path.relative_to(root).as_posix()
            is_first = files.image_files.setdefault(path.name, name) == name
            if MASK_NAME.fullmatch(path.name) is None:
                files.images.setdefault(path.stem, name)
            elif is_first:
                files.masks.append(path.name)
    return files


def images_with_masks(files: OpenImagesFiles) -> dict[str, OpenImage]:
    """Return the images with masks by ImageID, from the tables or, if there are none, from the names of the masks."""
    images: dict[str, OpenImage] = {}
    for table in files.tables[SEGMENTATION]:
        for image_id, label, mask in read_masks(table, files.images):
            _image(images, image_id, table, files).masks[PurePosixPath(mask).name] = label
    if not files.tables[SEGMENTATION]:
        for match in filter(None, map(MASK_NAME.fullmatch, files.masks)):
            if match["image"] in files.images:
                label = f"/{match['kind']}/{match['class']}"
                _image(images, match["image"], None, files).masks[match.string] = label
    return images


def add_boxes(images: dict[str, OpenImage], files: OpenImagesFiles) -> None:
    """Add the images without masks that have boxes.

    Args:
        images: by ImageID; changed in place.
        files: of the folder.
    """
    without_masks = files.images.keys() - images.keys()
    for table in files.tables[BOXES]:
        for image_id, row in read_boxes(table, without_masks):
            _image(images, image_id, table, files).boxes[row] = None


def _image(images: dict[str, OpenImage], image_id: str, table: Path | None, files: OpenImagesFiles) -> OpenImage:
    if image_id not in images:
        name = files.images[image_id]
        split = (split_named(table.stem) if table else None) or split_of_folders(files.root / name, files.root)
        images[image_id] = OpenImage(name, split or UNSPLIT)
    return images[image_id]


def report_unused(images: Mapping[str, OpenImage], files: OpenImagesFiles, findings: Mapping[str, Findings]) -> None:
    """Report masks without an image or a row, and images without labels.

    Args:
        images: the labelled ones, by ImageID.
        files: of the folder.
        findings: by split.
    """
    listed = {mask for image in images.values() for mask in image.masks}
    for mask in files.masks:
        if mask.partition("_")[0] not in files.images:
            findings[UNSPLIT].add("mask_unmatched", f"{mask}: its image is missing")
        elif mask not in listed:
            findings[UNSPLIT].add("mask_unlisted", mask)
    others = (name for image_id, name in files.images.items() if image_id not in images)
    report_unlabelled((name for name in others if PurePosixPath(name).name not in listed), files.root, findings)
