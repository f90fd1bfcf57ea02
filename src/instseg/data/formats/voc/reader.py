"""Reader of VOC folders: one xml for each image, and instance masks in SegmentationObject if there are any.

- Images lie beside the xml or in a separate folder. Several xml of one image, such as one for each class from the
  ``openimages`` downloader, are merged, even if each class has its own copy of the image.
- Splits are the lists in ImageSets (see ``layout.SplitLists``): images in no list are left out. Without lists, folders
  named train, val and test are splits.
- ``SegmentationObject/*.png``: each value but 255, the void border, is an object of the xml. Objects without a mask
  keep their ``<polygon>`` (Roboflow), else their box. Without any xml (mask exports of CVAT and LabelMe) the category
  of each instance comes from SegmentationClass.
- SegmentationClass alone does not separate instances and is not used: the boxes of the xml are.
- ``truncated``, ``occluded`` and ``<part>`` are ignored: an instance is its visible part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.core.types import Rle
from instseg.data.formats.image_labels import ImageLabels, read_in_threads, taking_turns, usable_labels
from instseg.data.formats.mask_values import shown_value
from instseg.data.formats.voc.images import VocImage, find_images
from instseg.data.formats.voc.layout import CLASS_FOLDERS, INSTANCE_FOLDERS, SplitLists, VocLayout, find_layout
from instseg.data.formats.voc.masks import match_masks, read_instances, read_instances_by_class
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import (
    SPLIT_PATTERNS,
    check_all_split,
    check_folder,
    sample_files,
    split_of_folders,
    walk,
)
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import UNSPLIT, Labels

DIFFICULT = ("keep", "crowd")
NUM_PROBED_XML, NUM_PROBED_BYTES = 5, 4096
ANNOTATION, CONTENT = re.compile(rb"<annotation[\s>]"), re.compile(rb"<(bndbox|size)>")


def recognise(root: Path) -> str | None:
    """Describe the xml with ``<annotation>`` and boxes, or the masks in SegmentationObject; None without either."""
    files = sample_files(root)
    xmls = [file for file in files if file.suffix.lower() == ".xml"]
    if any(map(_looks_like_voc, xmls[:: max(1, len(xmls) // NUM_PROBED_XML)][:NUM_PROBED_XML])):
        return f"VOC xml in {_folder_of(xmls[0], root)}"
    images = [file for file in files if file.suffix.lower() in IMAGE_EXTENSIONS]
    folders = {file.parent.name.casefold(): file for file in images}
    if folders.keys() & INSTANCE_FOLDERS and folders.keys() & CLASS_FOLDERS:
        mask = next(file for folder, file in folders.items() if folder in INSTANCE_FOLDERS)
        return f"VOC instance masks in {_folder_of(mask, root)}"
    return None


def _looks_like_voc(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(NUM_PROBED_BYTES)
    except OSError:
        return False
    return bool(ANNOTATION.search(head) and CONTENT.search(head))


def _folder_of(file: Path, root: Path) -> str:
    folder = file.parent.relative_to(root).as_posix()
    return "the folder itself" if folder == "." else f"{folder}/"


@dataclass(frozen=True, slots=True)
class VocReader:
    """Reader of VOC folders.

    Attributes:
        root: the folder.
        difficult: ``keep`` treats objects marked as difficult like the others; with ``crowd`` they are neither trained
            on nor counted in the evaluation, as in VOC's own.
    """

    FORMAT: ClassVar[str] = "voc"
    VERSION: ClassVar[int] = 2
    root: Path
    difficult: str = "keep"

    def __post_init__(self) -> None:
        """Raise InstsegError for an unknown value of ``difficult``."""
        if self.difficult not in DIFFICULT:
            raise InstsegError(f"dataset.difficult={self.difficult}: expected one of {', '.join(DIFFICULT)}")

    def label_files(self) -> Iterable[Path]:
        """Return xml, masks, lists of splits and names of categories."""
        check_folder(self.root)
        return find_layout(self.root).label_files()

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the xml and masks of all images.

        Raises:
            InstsegError: there are no labels, or none has an instance.
        """
        check_folder(self.root)
        layout = find_layout(self.root)
        _check_has_labels(layout)
        found = find_images(layout, findings)
        lists = SplitLists(layout)
        images = _split_by_lists(found, lists, layout, findings) if lists else _split_by_folders(found, self.root)
        builders = read_in_threads(partial(self._read_image, layout), images, findings)
        return usable_labels(builders, self.root, findings, f"{self.root}: {plural(len(images), 'labelled image')}")

    def _read_image(self, layout: VocLayout, image: VocImage) -> ImageLabels:
        labels = ImageLabels(image.name, image.split, image.image_size, problems=image.problems)
        if not image.xmls:
            _add_instances(labels, image, layout)
            return labels
        masks = _masks_of_objects(labels, image, layout)
        for number, entry in enumerate(image.objects):
            shape = masks.get(number) or entry.polygons or entry.box
            if not entry.category:
                labels.report("category_missing", f"object {number + 1} of {image.name}")
            elif shape is None:
                labels.report("shape_invalid", f"object {number + 1} of {image.name}: no <bndbox> of four numbers")
            else:
                labels.add(entry.category, shape, entry.is_difficult and self.difficult == "crowd")
        return labels


def _check_has_labels(layout: VocLayout) -> None:
    if layout.xmls or layout.instance_masks:
        return
    if layout.class_masks:
        raise InstsegError(
            f"{layout.root}: SegmentationClass has categories, not instances, and there are no xml with boxes. If "
            "every connected region is one instance: dataset=mask_folder dataset.names='{1: aeroplane, …}'"
        )
    found = list_names(file.relative_to(layout.root) for file in walk(layout.root))
    raise InstsegError(f"{layout.root}: expected VOC xml (Annotations/*.xml or beside the images), found {found}")


def _split_by_lists(
    images: list[VocImage], lists: SplitLists, layout: VocLayout, findings: Mapping[str, Findings]
) -> list[VocImage]:
    """Return the images that a list names, with their split."""
    listed = []
    for image in images:
        splits = [split for split in SPLIT_PATTERNS if split in lists.splits_of(image.key)]
        if not splits:
            findings[UNSPLIT].add("image_unlisted", image.name)
            continue
        image.split = splits[-1]
        if len(splits) > 1:
            image.problems.append(("split_ambiguous", f"{image.name} ({', '.join(splits)})"))
        listed.append(image)
    if not listed:
        names, texts = list_names((image.name for image in images), 3), list_names(layout.texts, 3)
        raise InstsegError(f"{layout.root}: the lists of splits ({texts}) name none of the labelled images ({names})")
    return listed


def _split_by_folders(images: list[VocImage], root: Path) -> list[VocImage]:
    for image in images:
        files = (image.name, *image.xmls)
        image.split = next((split for file in files if (split := split_of_folders(root / file, root))), UNSPLIT)
    unsplit = [image.name for image in images if image.split == UNSPLIT]
    check_all_split(unsplit, {image.split for image in images} - {UNSPLIT}, root)
    return images


def _masks_of_objects(labels: ImageLabels, image: VocImage, layout: VocLayout) -> dict[int, Rle]:
    """Return the masks of objects by index; empty if the image has no mask."""
    path = layout.instance_masks.get(image.key)
    if path is None:
        if image.key in layout.class_masks:
            labels.report("mask_semantic", image.name)
        return {}
    try:
        with taking_turns(image.image_size):
            mask, rles = read_instances(layout.root / path, image.image_size)
    except InstsegError as error:
        labels.report("mask_invalid", str(error))
        return {}
    labels.image_size = mask.size
    objects = match_masks(rles, [entry.box for entry in image.objects])
    for value in sorted(rles.keys() - objects.keys()):
        labels.report("mask_unmatched", f"{path}: value {shown_value(value)} is not an object of its xml")
    return {index: rles[value] for value, index in objects.items()}


def _add_instances(labels: ImageLabels, image: VocImage, layout: VocLayout) -> None:
    """Add instances without an xml: their categories come from SegmentationClass."""
    path, class_path = layout.instance_masks[image.key], layout.class_masks[image.key]
    try:
        names = layout.names_of(class_path)
        size, instances = read_instances_by_class(layout.root / path, layout.root / class_path, names)
    except InstsegError as error:
        labels.leave_out("mask_invalid", str(error))
        return
    labels.image_size = size
    for value, rle, category in instances:
        if category is None:
            labels.report("mask_value_unknown", f"{class_path}: the class of instance {shown_value(value)} in {path}")
        else:
            labels.add(category, rle)
