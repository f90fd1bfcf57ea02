"""Open Images: the official tables (csv), one mask PNG for each instance and photos named by their id, at any depth.

- ``*annotations-object-segmentation*.csv`` lists the masks. Where there is none, the masks' own names
  (``<ImageID>_<class>_<BoxID>.png``) say the same
- ``*class-descriptions*.csv`` names the classes; without it their ids (``/m/0pg52``) are the names
- ``*annotations-bbox*.csv`` has boxes, whose IsGroupOf marks crowds: see ``OpenImagesReader.boxes``
- train, validation and test as the names of the tables say, else as the folders of the photos do
- masks are scaled to their photo, whose size often differs. A photo without masks (and boxes) may show any number of
  instances: it is left out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.text import shown
from instseg.data.formats.image_labels import ImageLabels, check_has_instances, labels_of, read_in_threads, taking_turns
from instseg.data.formats.mask_files import read_mask_as
from instseg.data.formats.mask_values import rles_of_values
from instseg.data.formats.openimages.files import (
    MASK_NAME,
    OpenImage,
    OpenImagesFiles,
    add_boxes,
    find_files,
    photos_with_masks,
    report_unused,
)
from instseg.data.formats.openimages.tables import BOXES, NAMES, SEGMENTATION, kind_of, read_names
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_all_split, sample_files
from instseg.data.reading.images import ImageHeader, read_image_header
from instseg.data.reading.labels import UNSPLIT, Labels


def recognise(root: Path) -> str | None:
    """A phrase when there is one of the official tables of masks or boxes, or there are masks with official names."""
    files = sample_files(root)
    tables = [file.name for file in files if kind_of(file.name) in (SEGMENTATION, BOXES)]
    if tables:
        return f"Open Images tables ({shown(sorted(tables), 2)})"
    masks = [file.name for file in files if MASK_NAME.fullmatch(file.name)]
    return f"Open Images masks ({masks[0]})" if masks else None


@dataclass(frozen=True, slots=True)
class OpenImagesReader:
    """``boxes``: whether photos without masks get their boxes as masks. None: if no photo has a mask."""

    root: Path
    boxes: bool | None = None

    def label_files(self) -> Iterable[Path]:
        """Also the folders of the photos: which rows of the tables count depends on what is there."""
        files = find_files(self.root)
        folders = {self.root / PurePosixPath(photo).parent for photo in files.photos.values()}
        masks = (self.root / files.pictures[mask] for mask in files.masks)
        return [*(table for tables in files.tables.values() for table in tables), *masks, *folders]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        files = find_files(self.root)
        photos = photos_with_masks(files)
        if self.boxes or (self.boxes is None and not photos):
            add_boxes(photos, files)
        report_unused(photos, files, findings)
        if not photos:
            raise InstsegError(self._why_nothing(files))
        unsplit = [photo.name for photo in photos.values() if photo.split == UNSPLIT]
        check_all_split(unsplit, {photo.split for photo in photos.values()} - {UNSPLIT}, self.root)
        names = _names_of_classes(photos, files, findings[UNSPLIT])
        ordered = sorted(photos.values(), key=lambda photo: photo.name)
        builders = read_in_threads(partial(_read_photo, files, names), ordered, findings)
        check_has_instances(builders, findings, f"{self.root}: {len(photos)} labelled photos")
        return labels_of(builders, self.root)

    def _why_nothing(self, files: OpenImagesFiles) -> str:
        tables = [table.name for kind in (SEGMENTATION, BOXES) for table in files.tables[kind]]
        hint = ", or dataset.boxes=true for boxes as masks" if files.tables[BOXES] and self.boxes is not True else ""
        return (
            f"{self.root}: none of the {len(files.photos)} photos ({shown(files.photos.values(), 3)}) has a mask. "
            f"Expected photos named by their ImageID and *{SEGMENTATION}*.csv with its masks{hint}; found the tables "
            f"{shown(tables)} and {len(files.masks)} masks"
        )


def _names_of_classes(photos: Mapping[str, OpenImage], files: OpenImagesFiles, findings: Findings) -> dict[str, str]:
    """LabelName -> category, of those that occur: the LabelName itself where nothing names it."""
    known = {label: name for table in files.tables[NAMES] for label, name in read_names(table).items()}
    labels = {label for photo in photos.values() for label in photo.masks.values()}
    labels |= {label for photo in photos.values() for label, *_ in photo.boxes}
    for label in sorted(labels - known.keys() - {""}):
        findings.add("category_unnamed", f"{label} (a table such as oidv7-class-descriptions.csv names it)")
    return {label: known.get(label, label.strip()) for label in labels}


def _read_photo(files: OpenImagesFiles, names: Mapping[str, str], photo: OpenImage) -> ImageLabels:
    """A photo that is damaged comes without instances: that is found when the photos are read."""
    labels = ImageLabels(photo.name, photo.split)
    try:
        header = read_image_header(files.root / photo.name)
    except InstsegError:
        return labels
    for mask, label in photo.masks.items():
        try:
            with taking_turns(header.size):
                _add_mask(labels, mask, names[label], files, header)
        except InstsegError as error:
            labels.leave_out("mask_invalid", str(error))
    _add_boxes(labels, photo, names, header)
    if not labels.instances and not labels.is_left_out:
        labels.leave_out("image_unlabelled", photo.name)
    return labels


def _add_mask(labels: ImageLabels, name: str, category: str, files: OpenImagesFiles, header: ImageHeader) -> None:
    if name not in files.pictures:
        labels.report("mask_missing", name)
        return
    sizes = (header.displayed_size, header.size) if labels.image_size is None else (labels.image_size,)
    mask = read_mask_as(files.root / files.pictures[name], sizes)
    labels.image_size = mask.size
    rle = rles_of_values((mask.values > 0).view(np.uint8)).get(1)
    if rle is None or not category:
        labels.report("shape_degenerate" if category else "category_missing", name)
    else:
        labels.add(category, rle)


def _add_boxes(labels: ImageLabels, photo: OpenImage, names: Mapping[str, str], header: ImageHeader) -> None:
    for row in photo.boxes:
        box, category = row.box(header.displayed_size), names[row.label]
        if box is None or not category:
            labels.report(
                "shape_invalid" if category else "category_missing", f"a box of {photo.name}: {', '.join(row)}"
            )
        else:
            labels.image_size = header.displayed_size
            labels.add(category, box, row.is_group_of.strip() == "1")
