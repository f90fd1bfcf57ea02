"""Reader of "CVAT for images 1.1": one ``annotations.xml`` for all images.

Polygons, boxes (also rotated), ellipses and masks are read. Shapes of one label and group are one instance, as in the
export to COCO of CVAT; open shapes are left out. The attribute ``subset`` of an image is its split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar
from xml.etree.ElementTree import Element

from instseg.core.errors import InstsegError
from instseg.core.files import check_memory, read_head
from instseg.core.text import list_names, usable_text
from instseg.data.formats.cvat.shapes import OPEN_SHAPES, SHAPES, read_shape
from instseg.data.formats.groups import Groups, check_groups, tell_groups
from instseg.data.formats.image_labels import ImageLabels, ShapeGroups, read_in_threads, usable_labels
from instseg.data.formats.plain_json import size_of
from instseg.data.formats.xml_files import parse_xml
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_folder, split_named, split_of_folders, walk
from instseg.data.reading.labels import UNSPLIT, Labels

NUM_PROBED = 20
MAX_XML_BYTES, BYTES_IN_MEMORY_PER_BYTE = 4_000_000_000, 12


def recognise(root: Path) -> str | None:
    """Describe the first XML of CVAT at ``root`` or one folder below; None where there is none."""
    if root.is_file():
        return "a CVAT xml" if _is_cvat(root) else None
    files = (path for pattern in ("*.xml", "*/*.xml") for path in sorted(root.glob(pattern)))
    found = next((path for path in islice(files, NUM_PROBED) if _is_cvat(path)), None)
    return f"CVAT for images ({found.relative_to(root)})" if found else None


def _is_cvat(path: Path) -> bool:
    head = read_head(path)
    return path.suffix.lower() == ".xml" and b"<annotations" in head and (b"<image " in head or b"<track " in head)


@dataclass(frozen=True, slots=True)
class CvatReader:
    """Reader of CVAT's XML.

    Attributes:
        root: a folder with such files at any depth, or one of them with the images near it.
        groups: ``join`` takes shapes of one label and group for parts of one instance, ``ignore`` reads each as one.
    """

    FORMAT: ClassVar[str] = "cvat"
    VERSION: ClassVar[int] = 2
    root: Path
    groups: str = "join"

    def __post_init__(self) -> None:
        """Raise InstsegError for an unknown value of an option."""
        check_groups(self.groups)

    def label_files(self) -> Iterable[Path]:
        """Return the XML files.

        Raises:
            InstsegError: there is none.
        """
        if self.root.is_file():
            return [self.root]
        check_folder(self.root)
        files = [path for path in walk(self.root) if _is_cvat(path)]
        if not files:
            raise InstsegError(
                f"{self.root}: no XML of CVAT found; expected annotations.xml of the export 'CVAT for images 1.1', "
                f"found {list_names(sorted(path.name for path in self.root.iterdir()))}"
            )
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all images of all XML files."""
        home = self.root.parent if self.root.is_file() else self.root
        finder, images = ImageFinder(home), dict[str, _CvatImage]()
        for file in self.label_files():
            for image in _images_of(file, home, finder):
                if image.name in images:
                    findings[image.split].add("image_labelled_twice", f"{image.name} (in {file.name} too)")
                else:
                    images[image.name] = image
        builders = read_in_threads(partial(_read_image, self.groups == "join"), list(images.values()), findings)
        if self.groups == "join":
            tell_groups(_groups_of(images.values()), self.FORMAT, findings[next(iter(builders), UNSPLIT)])
        return usable_labels(builders, home, findings, f"{self.root}: labels of CVAT")


@dataclass(frozen=True, slots=True)
class _CvatImage:
    name: str  # from the home folder
    split: str
    element: Element


def _images_of(file: Path, home: Path, finder: ImageFinder) -> Iterable[_CvatImage]:
    check_memory(file, BYTES_IN_MEMORY_PER_BYTE)
    root = parse_xml(file, MAX_XML_BYTES)
    if root.find("track") is not None:
        raise InstsegError(f"{file}: is 'CVAT for video' (tracks): export it as 'CVAT for images 1.1' or 'COCO 1.0'")
    near = PurePosixPath(file.parent.relative_to(home).as_posix())
    for element in root.iter("image"):
        wanted = usable_text(element.get("name")).replace("\\", "/")
        found = finder.find(wanted, near=str(near)) if wanted else None
        name = found or str(near / PurePosixPath(wanted).name)
        by_name = split_named(element.get("subset") or "") or split_of_folders(home / name, home)
        yield _CvatImage(name, by_name or split_named(file.stem) or UNSPLIT, element)


def _groups_of(images: Iterable[_CvatImage]) -> Groups:
    groups = Groups()
    for image in images:
        shapes = [shape for shape in image.element if shape.tag in SHAPES]
        groups.add(((usable_text(shape.get("label")), _group(shape)) for shape in shapes), image.name)
    return groups


def _group(shape: Element) -> str | None:
    """Return the group of a shape, None where it is in none."""
    group = shape.get("group_id") or "0"
    return None if group == "0" else group


def _read_image(joins_groups: bool, image: _CvatImage) -> ImageLabels:
    element = image.element
    labels = ImageLabels(image.name, image.split, size_of(element.get("height"), element.get("width")))
    groups = ShapeGroups()
    for number, shape in enumerate((child for child in element if child.tag in (*SHAPES, *OPEN_SHAPES)), start=1):
        where, label = f"{image.name}: shape {number}", usable_text(shape.get("label"))
        if shape.tag in OPEN_SHAPES:
            labels.report("shape_open", f"{where} ({shape.tag})")
        elif not label.strip():
            labels.report("category_missing", where)
        else:
            group = _group(shape) if joins_groups else None
            try:
                groups.add((label, group) if group else number, label, read_shape(shape, labels.image_size))
            except InstsegError as error:
                labels.report("shape_invalid", f"{where}: {error}")
    groups.add_to(labels)
    return labels
