"""Reader of VIA, the VGG Image Annotator: projects and exports of versions 1 to 3, one file for many images.

A listed image without regions is empty. The category is the attribute named by ``attribute``, else the only one, else
the only one with a usual name. Files that list the same image of the same split, such as a project and its exports or
an older save, are treated as copies: the entry with the most regions is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import unquote

from instseg.core.errors import InstsegError
from instseg.core.text import is_file_name, list_names, plural, usable_text
from instseg.data.formats.via.attributes import category_attribute, values_of
from instseg.data.formats.via.files import Entry, looks_like_via, read_entries
from instseg.data.formats.via.shapes import polygon_or_box
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_all_split, check_folder, split_of, split_of_folders, walk
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of

SUFFIXES = (".json", ".csv")
NUM_PROBED = 20
UNNAMED = "object"
"""The category of labels without attributes."""


def recognise(root: Path) -> str | None:
    """Describe the first VIA file at ``root`` or one folder below; None if there is none."""
    if root.is_file():
        return "a VIA file" if _is_via(root) else None
    if not root.is_dir():
        return None
    tables = (
        path for pattern in ("*", "*/*") for path in sorted(root.glob(pattern)) if path.suffix.lower() in SUFFIXES
    )
    found = next((path for path in islice(tables, NUM_PROBED) if _is_via(path)), None)
    return f"VIA annotations ({found.relative_to(root)})" if found else None


def _is_via(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and looks_like_via(path)


@dataclass(frozen=True, slots=True)
class ViaReader:
    """Reader of VIA files; files or folders named train, val and test are splits.

    Attributes:
        root: a folder with VIA's json or csv at any depth, or one such file with the images near it.
        attribute: the region attribute that is the category; None: detect it.
    """

    FORMAT: ClassVar[str] = "via"
    VERSION: ClassVar[int] = 1
    root: Path
    attribute: str | None = None

    def label_files(self) -> Iterable[Path]:
        """Return the VIA files.

        Raises:
            InstsegError: there is none.
        """
        if self.root.is_file():
            return [self.root]
        check_folder(self.root)
        files = [path for path in walk(self.root) if _is_via(path)]
        if not files:
            raise InstsegError(
                f"{self.root}: no VIA file found; expected a project (json) or an export of its annotations as json or "
                f"csv (of VIA 3 the project), found {list_names(sorted(p.name for p in self.root.iterdir()))}"
            )
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all VIA files."""
        home = self.root.parent if self.root.is_file() else self.root
        collected = _Collector(home, findings)
        for file in self.label_files():
            collected.add_file(file)
        return collected.labels(None if self.attribute is None else str(self.attribute))


@dataclass(frozen=True, slots=True)
class _Listed:
    """An entry, its VIA file, and its image as a path from the home folder."""

    entry: Entry
    file: Path
    image: str
    exists: bool


class _Collector:
    """The entries read so far, by split."""

    def __init__(self, home: Path, findings: Mapping[str, Findings]) -> None:
        self.home, self.findings = home, findings
        self.finder = ImageFinder(home)
        self.listed: defaultdict[str, dict[str, _Listed]] = defaultdict(dict)  # split -> image -> its entry

    def add_file(self, file: Path) -> None:
        """Read the entries of one VIA file."""
        split_of_file = split_of(file, self.home) or split_of_folders(file, self.home)
        findings = self.findings[split_of_file or UNSPLIT]
        for entry in read_entries(file, findings):
            listed = self._find(entry, file)
            if listed is None:
                findings.add("label_invalid", f"{file}: {entry.file_name[:80]!r} is not a file name of an image")
                continue
            by_folder = split_of_folders(self.home / listed.image, self.home)
            self._add(listed, split_of_file or by_folder or UNSPLIT)

    def _find(self, entry: Entry, file: Path) -> _Listed | None:
        """Find the image by its name or, if several have it, by the size of the file."""
        near = PurePosixPath(file.parent.relative_to(self.home).as_posix())
        path = PurePosixPath(_path_of(entry.file_name))
        if not is_file_name(path.name):
            return None
        found = self.finder.find(str(near / path), near=str(near)) or self._same_size(path.name, entry.num_bytes)
        return _Listed(entry, file, found or str(near / path.name), found is not None)

    def _same_size(self, name: str, num_bytes: int | None) -> str | None:
        fitting = [image for image in self.finder.same_name(name) if self._has_size(image, num_bytes)]
        return fitting[0] if len(fitting) == 1 else None

    def _has_size(self, image: str, num_bytes: int | None) -> bool:
        path = self.home / image
        return path.is_file() and path.stat().st_size == num_bytes

    def _add(self, new: _Listed, split: str) -> None:
        old = self.listed[split].setdefault(new.image, new)
        if old is new or old.entry.regions == new.entry.regions:
            return
        used, unused = sorted((old, new), key=self._rank, reverse=True)
        self.listed[split][new.image] = used
        numbers = (
            f"{plural(len(used.entry.regions), 'region')} used from {used.file.name}, not {len(unused.entry.regions)}"
        )
        self.findings[split].add("image_labelled_twice", f"{new.image} ({numbers} in {unused.file.name})")

    def _rank(self, listed: _Listed) -> tuple[bool, int]:
        """Return a sort key, larger is better: VIA keeps the entry of a replaced image, with its former size."""
        return self._has_size(listed.image, listed.entry.num_bytes), len(listed.entry.regions)

    def labels(self, wanted: str | None) -> dict[str, Labels]:
        """Build the labels of every split; ``wanted`` is the attribute with the category, None to detect it."""
        self._check_splits()
        regions = [region for listed in self._all() for region in listed.entry.regions]
        attribute = category_attribute(regions, wanted, self.home)
        builders = {split: LabelsBuilder() for split in self.listed}
        for split, images in self.listed.items():
            for listed in images.values():
                _add_image(builders[split], listed, attribute, self.findings[split])
        categories = categories_of(builders.values())
        if not categories:
            raise InstsegError(f"{self.home}: none of the {len(regions)} regions in its VIA files is an instance")
        if attribute is None:
            self.findings[next(iter(self.listed))].add("category_unnamed", UNNAMED)
        for image in sorted(set(self.finder.names) - {listed.image for listed in self._all()}):
            split = split_of_folders(self.home / image, self.home) or UNSPLIT
            self.findings[split if split in builders else UNSPLIT].add("image_unlabelled", image)
        return {split: Labels(builder.coco(categories), self.home) for split, builder in builders.items()}

    def _all(self) -> Iterator[_Listed]:
        return (listed for images in self.listed.values() for listed in images.values())

    def _check_splits(self) -> None:
        """Check that all images have a split; missing ones, which have no folder, join the first."""
        splits = [split for split in self.listed if split != UNSPLIT]
        unsplit = self.listed.pop(UNSPLIT, {})
        check_all_split([image for image, listed in unsplit.items() if listed.exists], splits, self.home)
        if unsplit:
            self.listed[splits[0] if splits else UNSPLIT] |= unsplit


def _path_of(file_name: str) -> str:
    """Return the posix path of a file name in any notation, or of a URL."""
    _, is_url, rest = file_name.partition("://")
    return usable_text(unquote(rest.partition("?")[0])) if is_url else file_name.replace("\\", "/")


def _add_image(builder: LabelsBuilder, listed: _Listed, attribute: str | None, findings: Findings) -> None:
    image_id = builder.add_image(listed.image)
    for number, region in enumerate(listed.entry.regions, start=1):
        where = f"{listed.image}: region {number}"
        categories = [UNNAMED] if attribute is None else values_of(region, attribute)
        try:
            shape = polygon_or_box(region.shape)
        except InstsegError as error:
            findings.add("shape_invalid", f"{where}: {error}")
            continue
        if shape is None:
            findings.add("shape_open", f"{where} ({region.shape['name']})")
        elif len(categories) != 1:
            findings.add("category_missing", f"{where} ({', '.join(categories) or 'none'})")
        elif shape.ndim == 1:
            builder.add_box(image_id, categories[0], shape)
        else:
            builder.add_polygons(image_id, categories[0], [shape])
