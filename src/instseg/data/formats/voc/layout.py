"""Layout of a VOC folder: its files by kind, and those that belong to one image.

Files belong together when their paths are equal except for the extension and for folders that name a kind of file:
``VOC2012/Annotations/a.xml``, ``VOC2012/JPEGImages/a.jpg``, ``VOC2012/SegmentationObject/a.png``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from instseg.core.files import read_lines
from instseg.data.formats.voc.names import class_names
from instseg.data.reading.folders import SPLIT_PATTERNS, ImageFinder, split_of_folders, walk
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.spelling import alike, pair_names

INSTANCE_FOLDERS = frozenset({"segmentationobject", "segmentationobjectpng"})
CLASS_FOLDERS = frozenset({"segmentationclass", "segmentationclasspng"})
XML_FOLDERS = frozenset({"annotations", "annotation", "labels", "xml", "xmls", "pascal"})
IMAGE_FOLDERS = frozenset({"jpegimages", "images", "image", "imgs", "photos"})
KIND_FOLDERS = INSTANCE_FOLDERS | CLASS_FOLDERS | XML_FOLDERS | IMAGE_FOLDERS
MASKS_FOR_PEOPLE = ("segmentationobject", "segmentationclass")
"""Prefixes of folders such as SegmentationObjectVisualization, which hold masks drawn over images."""
LIST_FOLDER, TASKS = "imagesets", ("segmentation", "main")
NAME_FILES = frozenset({"labelmap.txt", "class_names.txt"})


def key_of(name: str) -> str:
    """Return the common key of the files of one image: ``VOC2012/Annotations/a.xml`` -> ``VOC2012/a``."""
    path = PurePosixPath(name)
    return "/".join([part for part in path.parts[:-1] if part.casefold() not in KIND_FOLDERS] + [path.stem])


@dataclass(slots=True)
class VocLayout:
    """Files of a folder by kind, as posix paths from ``root``; masks by the key of their image."""

    root: Path
    xmls: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    instance_masks: dict[str, str] = field(default_factory=dict)
    class_masks: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)  # split lists and names of categories
    _names: dict[str, dict[int, str]] = field(default_factory=dict)

    def label_files(self) -> list[Path]:
        """Return all label files."""
        masks = (*self.instance_masks.values(), *self.class_masks.values())
        return [self.root / name for name in (*self.xmls, *masks, *self.texts)]

    def spell_masks_as(self, keys: Sequence[str]) -> None:
        """Give masks the keys of the images that they belong to, where a tool has spelled their names otherwise."""
        self.instance_masks = _spelled_as(keys, self.instance_masks)
        self.class_masks = _spelled_as([*keys, *self.instance_masks], self.class_masks)

    def names_of(self, class_mask: str) -> dict[int, str]:
        """Return the category of each value in a SegmentationClass mask, see ``class_names``."""
        path = PurePosixPath(class_mask)
        base = next(parent.parent for parent in path.parents if parent.name.casefold() in CLASS_FOLDERS)
        if str(base) not in self._names:
            self._names[str(base)] = class_names(self.root / base)
        return self._names[str(base)]


def _spelled_as(keys: Iterable[str], masks: Mapping[str, str]) -> dict[str, str]:
    names = {there: key for key, there in pair_names(keys, masks).items()}
    return {names.get(key, key): mask for key, mask in masks.items()}


def find_layout(root: Path) -> VocLayout:
    """Find the files below a folder."""
    layout = VocLayout(root)
    for file in walk(root):
        path = PurePosixPath(file.relative_to(root).as_posix())
        folders, suffix = {part.casefold() for part in path.parts[:-1]}, path.suffix.lower()
        if suffix == ".xml":
            layout.xmls.append(str(path))
        elif suffix == ".txt" and (LIST_FOLDER in folders or path.name.lower() in NAME_FILES):
            layout.texts.append(str(path))
        elif suffix not in IMAGE_EXTENSIONS:
            continue
        elif folders & INSTANCE_FOLDERS:
            layout.instance_masks[key_of(str(path))] = str(path)
        elif folders & CLASS_FOLDERS:
            layout.class_masks[key_of(str(path))] = str(path)
        elif not any(folder.startswith(MASKS_FOR_PEOPLE) for folder in folders):
            layout.images.append(str(path))
    return layout


class XmlImageFinder:
    """Finder of the image of an xml, by the xml's own name or by the name it contains.

    Corresponding folders come first; other folders are searched too, but not those of another split.
    """

    def __init__(self, layout: VocLayout) -> None:
        """Index the images of a folder."""
        self._root = layout.root
        self._finder = ImageFinder(layout.root, layout.images)
        self._by_key: defaultdict[str, list[str]] = defaultdict(list)
        for image in layout.images:
            self._by_key[key_of(image)].append(image)

    def own(self, xml: str, wanted: str) -> str | None:
        """Return the image with the xml's own name.

        Args:
            xml: its path from the root.
            wanted: the file name in the xml; its extension chooses among several.
        """
        images = self._by_key.get(key_of(xml))
        if not images:
            return self.named(xml, PurePosixPath(xml).stem + (PurePosixPath(wanted).suffix or ".jpg"))
        return next((image for image in images if PurePosixPath(image).name == wanted), images[0])

    def named(self, xml: str, wanted: str) -> str | None:
        """Return the image that the xml names.

        Args:
            xml: its path from the root.
            wanted: the file name in the xml.
        """
        near = str(PurePosixPath(xml).parent)
        found = self._finder.find(f"{near}/{wanted}", near) if wanted else None
        splits = {split_of_folders(self._root / name, self._root) for name in (xml, found) if name} - {None}
        return None if len(splits) > 1 else found

    def missing(self, xml: str, wanted: str) -> str:
        """Return the expected path of a missing image: beside the xml, or in JPEGImages beside Annotations.

        Args:
            xml: its path from the root.
            wanted: the file name in the xml.
        """
        path = PurePosixPath(xml)
        folder = path.parent
        if folder.name.casefold() in XML_FOLDERS | INSTANCE_FOLDERS:
            folder = folder.with_name("JPEGImages")
        return str(folder / (wanted or f"{path.stem}.jpg"))


class SplitLists:
    """Lists of the images of each split, in ``ImageSets``.

    ``ImageSets/Segmentation/*.txt`` is preferred if there are instance masks, else ``ImageSets/Main/*.txt``. Only lists
    named train, val and test are used, not trainval or those of one category. A folder may hold several sets of files,
    each with its own ``ImageSets``.
    """

    def __init__(self, layout: VocLayout) -> None:
        """Read the lists of a folder."""
        lists: defaultdict[str, defaultdict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        for name in layout.texts:
            parts = PurePosixPath(name).parts
            split = _split_of_list(PurePosixPath(name).stem)
            if len(parts) >= 3 and parts[-3].casefold() == LIST_FOLDER and split:
                lists["/".join(parts[:-3])][parts[-2].casefold()].append((split, name))
        tasks = TASKS if layout.instance_masks else TASKS[::-1]
        self._splits: dict[str, defaultdict[str, set[str]]] = {}
        for base, by_task in lists.items():
            files = next((by_task[task] for task in tasks if task in by_task), [])
            self._splits[base] = _read_lists(layout.root, files)

    def __bool__(self) -> bool:
        """Tell whether any list names an image."""
        return any(self._splits.values())

    def splits_of(self, key: str) -> set[str]:
        """Return the splits whose list has the image with this key."""
        path = PurePosixPath(key)
        for parent in path.parents:  # innermost first
            names = self._splits.get("" if str(parent) == "." else str(parent))
            if names is not None:
                below = str(path.relative_to(parent))
                return next((names[n] for n in (below, path.name, alike(below), alike(path.name)) if n in names), set())
        return set()


def _split_of_list(stem: str) -> str | None:
    return next((split for split, pattern in SPLIT_PATTERNS.items() if re.fullmatch(pattern, stem.lower())), None)


def _read_lists(root: Path, files: list[tuple[str, str]]) -> defaultdict[str, set[str]]:
    """Read the splits of each name, without an image's extension; a list may have 1 or -1 after the name.

    A name counts in another spelling too, unless that is another name of the lists.
    """
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for split, file in files:
        for line in read_lines(root / file):
            for name in {line.strip('"'), line.split()[0].strip('"')}:
                path = PurePosixPath(name)
                splits[str(path.with_suffix("")) if path.suffix.lower() in IMAGE_EXTENSIONS else name].add(split)
    for name in [name for name in splits if alike(name) not in splits]:
        splits[alike(name)] |= splits[name]
    return splits
