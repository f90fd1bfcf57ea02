"""Labelled images of a VOC folder, with the objects of their xml."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.core.types import ImageSize
from instseg.data.formats.image_labels import report_unlabelled
from instseg.data.formats.voc.annotation_xml import VocAnnotation, VocObject, read_voc_xml
from instseg.data.formats.voc.layout import VocLayout, XmlImageFinder, key_of
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import split_of_folders
from instseg.data.reading.labels import UNSPLIT
from instseg.data.reading.threads import READING, map_in_threads


@dataclass(slots=True)
class VocImage:
    """One image with the content of all its label files but masks."""

    name: str  # path from the root
    key: str  # its name in masks and lists of splits
    split: str = UNSPLIT
    image_size: ImageSize | None = None
    objects: list[VocObject] = field(default_factory=list)
    xmls: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def add(self, xml: str, annotation: VocAnnotation) -> None:
        """Add the objects of an xml; those that another xml lists too count once.

        Args:
            xml: its path from the root.
            annotation: its content.
        """
        new = [entry for entry in annotation.objects if not any(map(entry.same_as, self.objects))]
        if num_repeated := len(annotation.objects) - len(new):
            self.problems.append(("shape_repeated", f"{num_repeated} in {xml}, also in {self.xmls[0]}"))
        self.objects += new
        self.image_size = self.image_size or annotation.image_size
        self.xmls.append(xml)


def find_images(layout: VocLayout, findings: Mapping[str, Findings]) -> list[VocImage]:
    """Find every labelled image, whether its file exists or not.

    Args:
        layout: the files of the folder.
        findings: by split; gets what is left out.

    Returns:
        The images, sorted by name.

    Raises:
        InstsegError: no xml can be read.
    """
    images: dict[str, VocImage] = {}
    finder, same = XmlImageFinder(layout), _first_copies(layout.root, layout.images)
    for xml, annotation in zip(layout.xmls, _read_xmls(layout, findings[UNSPLIT]), strict=True):
        if annotation is not None:
            name = _image_of(xml, annotation.file_name, finder, findings[UNSPLIT])
            name = same.get(name, name)
            images.setdefault(name, VocImage(name, key_of(xml))).add(xml, annotation)
    layout.spell_masks_as([image.key for image in images.values()])
    _add_masks_without_xml(images, layout, finder, findings[UNSPLIT])
    report_unlabelled((name for name in layout.images if same[name] not in images), layout.root, findings)
    return [images[name] for name in sorted(images)]


def _read_xmls(layout: VocLayout, findings: Findings) -> list[VocAnnotation | None]:
    def read(xml: str) -> VocAnnotation | InstsegError:
        try:
            return read_voc_xml(layout.root / xml)
        except InstsegError as error:
            return error

    results = list(map_in_threads(read, layout.xmls, READING))
    errors = [result for result in results if isinstance(result, InstsegError)]
    if errors and len(errors) == len(results):
        raise InstsegError(f"none of {len(errors)} xml can be read as VOC labels; the first: {errors[0]}")
    for error in errors:
        findings.add("label_invalid", str(error))
    return [None if isinstance(result, InstsegError) else result for result in results]


def _image_of(xml: str, wanted: str, finder: XmlImageFinder, findings: Findings) -> str:
    """Return the image of an xml, by the xml's own name first: a renamed xml still names the image it was made for."""
    own, named = finder.own(xml, wanted), finder.named(xml, wanted)
    if own is None:
        return named or finder.missing(xml, wanted)
    if named not in (None, own) and PurePosixPath(wanted).stem != PurePosixPath(own).stem:
        findings.add("image_own_name", f"{xml} (names {wanted})")
    return own


def _add_masks_without_xml(
    images: dict[str, VocImage], layout: VocLayout, finder: XmlImageFinder, findings: Findings
) -> None:
    keys = {image.key for image in images.values()}
    for key, mask in layout.instance_masks.items():
        if key in keys:
            continue
        if key not in layout.class_masks:
            findings.add("mask_unmatched", f"{mask}: it has neither an xml nor a mask in SegmentationClass")
            continue
        name = finder.own(mask, "") or finder.missing(mask, "")
        images.setdefault(name, VocImage(name, key))


def _first_copies(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Map each image to its first copy of the same name and split: ``openimages`` downloads one for each class."""
    by_name: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for name in names:
        by_name[PurePosixPath(name).name, split_of_folders(root / name, root)].append(name)
    first: dict[str, str] = {}
    for alike in by_name.values():
        for name in alike:
            others = (other for other in alike if first.get(other) == other)
            first[name] = next((other for other in others if _same_content(root / other, root / name)), name)
    return first


def _same_content(left: Path, right: Path) -> bool:
    try:
        return filecmp.cmp(left, right, shallow=False)
    except OSError:
        return False
