"""Reader of Open Images: official tables (csv), one mask PNG per instance, images named by their id, at any depth.

- ``*annotations-object-segmentation*.csv`` lists the masks; without it their names (``<ImageID>_<class>_<BoxID>.png``)
  are used
- ``*class-descriptions*.csv`` names the classes; without it their ids (``/m/0pg52``) are the names
- ``*annotations-bbox*.csv`` has boxes, whose IsGroupOf marks crowds: see ``OpenImagesReader.boxes``
- the split is in the name of the table, else in the folders of the image
- masks are scaled to their image, whose size often differs. An image without masks (and boxes) may show any number of
  instances: it is left out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.data.formats.image_labels import ImageLabels, read_in_threads, taking_turns, usable_labels
from instseg.data.formats.mask_files import read_mask_as
from instseg.data.formats.mask_values import rles_of_values
from instseg.data.formats.openimages.files import (
    MASK_NAME,
    OpenImage,
    OpenImagesFiles,
    add_boxes,
    find_files,
    images_with_masks,
    report_unused,
)
from instseg.data.formats.openimages.tables import BOXES, NAMES, SEGMENTATION, kind_of, read_names
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_all_split, sample_files
from instseg.data.reading.images import ImageHeader, read_image_header
from instseg.data.reading.labels import UNSPLIT, Labels


def recognise(root: Path) -> str | None:
    """Describe the official tables of masks or boxes, or masks with official names; None if there are none."""
    files = sample_files(root)
    tables = [file.name for file in files if kind_of(file.name) in (SEGMENTATION, BOXES)]
    if tables:
        return f"Open Images tables ({list_names(sorted(tables), 2)})"
    masks = [file.name for file in files if MASK_NAME.fullmatch(file.name)]
    return f"Open Images masks ({masks[0]})" if masks else None


@dataclass(frozen=True, slots=True)
class OpenImagesReader:
    """Reader of Open Images.

    Attributes:
        root: the folder of tables, masks and images.
        boxes: whether images without masks get their boxes as masks; None: only if no image has a mask.
    """

    FORMAT: ClassVar[str] = "openimages"
    VERSION: ClassVar[int] = 1
    root: Path
    boxes: bool | None = None

    def label_files(self) -> Iterable[Path]:
        """Return tables and masks, and the folders of the images: the rows that count depend on the images present."""
        files = find_files(self.root)
        folders = {self.root / PurePosixPath(image).parent for image in files.images.values()}
        masks = (self.root / files.image_files[mask] for mask in files.masks)
        return [*(table for tables in files.tables.values() for table in tables), *masks, *folders]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the masks, or boxes, of the images that are present.

        Raises:
            InstsegError: no image is labelled, or none has an instance.
        """
        files = find_files(self.root)
        images = images_with_masks(files)
        if self.boxes or (self.boxes is None and not images):
            add_boxes(images, files)
        report_unused(images, files, findings)
        if not images:
            raise InstsegError(self._why_nothing(files))
        unsplit = [image.name for image in images.values() if image.split == UNSPLIT]
        check_all_split(unsplit, {image.split for image in images.values()} - {UNSPLIT}, self.root)
        names = _names_of_classes(images, files, findings[UNSPLIT])
        ordered = sorted(images.values(), key=lambda image: image.name)
        builders = read_in_threads(partial(_read_image, files, names), ordered, findings)
        return usable_labels(builders, self.root, findings, f"{self.root}: {plural(len(images), 'labelled image')}")

    def _why_nothing(self, files: OpenImagesFiles) -> str:
        tables = [table.name for kind in (SEGMENTATION, BOXES) for table in files.tables[kind]]
        hint = (
            ", or dataset=openimages dataset.boxes=true for boxes as masks"
            if files.tables[BOXES] and self.boxes is not True
            else ""
        )
        return (
            f"{self.root}: none of the {plural(len(files.images), 'image')} "
            f"({list_names(files.images.values(), 3)}) has a mask. "
            f"Expected images named by their ImageID and *{SEGMENTATION}*.csv with its masks{hint}; found the tables "
            f"{list_names(tables)} and {plural(len(files.masks), 'mask')}"
        )


def _names_of_classes(images: Mapping[str, OpenImage], files: OpenImagesFiles, findings: Findings) -> dict[str, str]:
    """Return the category of each LabelName that occurs; the LabelName itself if no table names it."""
    known = {label: name for table in files.tables[NAMES] for label, name in read_names(table).items()}
    labels = {label for image in images.values() for label in image.masks.values()}
    labels |= {label for image in images.values() for label, *_ in image.boxes}
    for label in sorted(labels - known.keys() - {""}):
        findings.add("category_unnamed", f"{label} (a table such as oidv7-class-descriptions.csv names it)")
    return {label: known.get(label, label.strip()) for label in labels}


def _read_image(files: OpenImagesFiles, names: Mapping[str, str], image: OpenImage) -> ImageLabels:
    """Read the instances of one image; a damaged image comes without, and is reported when the images are read."""
    labels = ImageLabels(image.name, image.split)
    try:
        header = read_image_header(files.root / image.name)
    except InstsegError:
        return labels
    for mask, label in image.masks.items():
        try:
            with taking_turns(header.size):
                _add_mask(labels, mask, names[label], files, header)
        except InstsegError as error:
            labels.leave_out("mask_invalid", str(error))
    _add_boxes(labels, image, names, header)
    if not labels.instances and not labels.is_left_out:
        labels.leave_out("image_unlabelled", image.name)
    return labels


def _add_mask(labels: ImageLabels, name: str, category: str, files: OpenImagesFiles, header: ImageHeader) -> None:
    if name not in files.image_files:
        labels.report("mask_missing", name)
        return
    sizes = (header.displayed_size, header.size) if labels.image_size is None else (labels.image_size,)
    mask = read_mask_as(files.root / files.image_files[name], sizes)
    labels.image_size = mask.size
    rle = rles_of_values((mask.values > 0).view(np.uint8)).get(1)
    if rle is None or not category:
        labels.report("shape_degenerate" if category else "category_missing", name)
    else:
        labels.add(category, rle)


def _add_boxes(labels: ImageLabels, image: OpenImage, names: Mapping[str, str], header: ImageHeader) -> None:
    for row in image.boxes:
        box, category = row.box(header.displayed_size), names[row.label]
        if box is None or not category:
            labels.report(
                "shape_invalid" if category else "category_missing", f"a box of {image.name}: {', '.join(row)}"
            )
        else:
            labels.image_size = header.displayed_size
            labels.add(category, box, row.is_group_of.strip() == "1")
