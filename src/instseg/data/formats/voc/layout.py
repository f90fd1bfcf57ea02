"""Where the files of a VOC folder lie, and which belong to one image.

Files belong together when their paths are the same but for the extension and for the folders that say what kind of
file they hold: ``VOC2012/Annotations/a.xml``, ``VOC2012/JPEGImages/a.jpg``, ``VOC2012/SegmentationObject/a.png``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from instseg.core.files import read_lines
from instseg.data.formats.voc.masks import class_names
from instseg.data.reading.folders import SPLIT_PATTERNS, ImageFinder, split_of_folders, walk
from instseg.data.reading.images import IMAGE_EXTENSIONS

INSTANCE_FOLDERS = frozenset({"segmentationobject", "segmentationobjectpng"})
CLASS_FOLDERS = frozenset({"segmentationclass", "segmentationclasspng"})
XML_FOLDERS = frozenset({"annotations", "annotation", "labels", "xml", "xmls", "pascal"})
IMAGE_FOLDERS = frozenset({"jpegimages", "images", "image", "imgs", "photos"})
KIND_FOLDERS = INSTANCE_FOLDERS | CLASS_FOLDERS | XML_FOLDERS | IMAGE_FOLDERS
MASKS_FOR_PEOPLE = ("segmentationobject", "segmentationclass")
"""What folders such as SegmentationObjectVisualization begin with: masks laid over images."""
LIST_FOLDER, TASKS = "imagesets", ("segmentation", "main")
NAME_FILES = frozenset({"labelmap.txt", "class_names.txt"})


def key_of(name: str) -> str:
    """What files of one image have in common: ``VOC2012/Annotations/a.xml`` -> ``VOC2012/a``."""
    path = PurePosixPath(name)
    return "/".join([part for part in path.parts[:-1] if part.casefold() not in KIND_FOLDERS] + [path.stem])


@dataclass(slots=True)
class VocLayout:
    """All files by kind, as posix paths from ``root``; masks by the key of their image."""

    root: Path
    xmls: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    instance_masks: dict[str, str] = field(default_factory=dict)
    class_masks: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)  # split lists and names of categories
    _names: dict[str, dict[int, str]] = field(default_factory=dict)

    def label_files(self) -> list[Path]:
        masks = (*self.instance_masks.values(), *self.class_masks.values())
        return [self.root / name for name in (*self.xmls, *masks, *self.texts)]

    def names_of(self, class_mask: str) -> dict[int, str]:
        """Value -> category in a SegmentationClass mask, see ``class_names``."""
        path = PurePosixPath(class_mask)
        base = next(parent.parent for parent in path.parents if parent.name.casefold() in CLASS_FOLDERS)
        if str(base) not in self._names:
            self._names[str(base)] = class_names(self.root / base)
        return self._names[str(base)]


def find_layout(root: Path) -> VocLayout:
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


class ImageOfXml:
    """Finds the image of an xml: the one that has its own name, else the one that it names.

    The folders decide first; in other folders an image is sought too, but not in those of another split.
    """

    def __init__(self, layout: VocLayout) -> None:
        self._root = layout.root
        self._finder = ImageFinder(layout.root, layout.images)
        self._by_key: defaultdict[str, list[str]] = defaultdict(list)
        for image in layout.images:
            self._by_key[key_of(image)].append(image)

    def own(self, xml: str, wanted: str) -> str | None:
        """Of several with the xml's name, which differ in their extension, the one it wants."""
        images = self._by_key.get(key_of(xml))
        if not images:
            return self.named(xml, PurePosixPath(xml).stem + (PurePosixPath(wanted).suffix or ".jpg"))
        return next((image for image in images if PurePosixPath(image).name == wanted), images[0])

    def named(self, xml: str, wanted: str) -> str | None:
        near = str(PurePosixPath(xml).parent)
        found = self._finder.find(f"{near}/{wanted}", near) if wanted else None
        splits = {split_of_folders(self._root / name, self._root) for name in (xml, found) if name} - {None}
        return None if len(splits) > 1 else found

    def missing(self, xml: str, wanted: str) -> str:
        """Where it would be: beside the xml, or in the folder that goes with Annotations."""
        path = PurePosixPath(xml)
        folder = path.parent
        if folder.name.casefold() in XML_FOLDERS | INSTANCE_FOLDERS:
            folder = folder.with_name("JPEGImages")
        return str(folder / (wanted or f"{path.stem}.jpg"))


class SplitLists:
    """``ImageSets/Segmentation/*.txt`` where there are instance masks, else ``ImageSets/Main/*.txt``, else the other.

    The lists named train, val and test count (trainval, and those of one category, do not). A folder may hold several
    sets of files, each with its own ``ImageSets``.
    """

    def __init__(self, layout: VocLayout) -> None:
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
        return any(self._splits.values())

    def splits_of(self, key: str) -> set[str]:
        """The splits whose list names the image with this key; empty where none does."""
        path = PurePosixPath(key)
        for parent in path.parents:  # innermost first
            names = self._splits.get("" if str(parent) == "." else str(parent))
            if names is not None:
                return names.get(str(path.relative_to(parent))) or names.get(path.name) or set()
        return set()


def _split_of_list(stem: str) -> str | None:
    return next((split for split, pattern in SPLIT_PATTERNS.items() if re.fullmatch(pattern, stem.lower())), None)


def _read_lists(root: Path, files: list[tuple[str, str]]) -> defaultdict[str, set[str]]:
    """Name in the lists, without an image's extension -> splits. Behind the name a list may say 1 or -1."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for split, file in files:
        for line in read_lines(root / file):
            for name in {line.strip('"'), line.split()[0].strip('"')}:
                path = PurePosixPath(name)
                splits[str(path.with_suffix("")) if path.suffix.lower() in IMAGE_EXTENSIONS else name].add(split)
    return splits
