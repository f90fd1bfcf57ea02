"""Reader of YOLO segmentation labels as Ultralytics defines them: a text file per image, a row per instance.

A row is the class index, then x and y of each vertex of a polygon, or centre, width and height of a box, in fractions
of the image's width and height. As in Ultralytics, an image without a text file, or with an empty one, has no
instances, and coordinates refer to the upright image (EXIF applied).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.types import ImageSize
from instseg.data.formats.yolo.config import CLASS_FILES, find_configs, read_config
from instseg.data.formats.yolo.label_files import NOT_LABELS, LabelFiles, find_label_files, labels_beside
from instseg.data.formats.yolo.layout import find_layout
from instseg.data.formats.yolo.rows import Row, looks_like_pose, read_row
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import common_root, walk
from instseg.data.reading.images import read_image_header
from instseg.data.reading.labels import Labels, LabelsBuilder
from instseg.data.reading.threads import READING, map_in_threads

NUM_PROBED = 5
T = TypeVar("T")
R = TypeVar("R")


def recognise(root: Path) -> str | None:
    """Describe a yaml of Ultralytics, or text files in labels/ beside images/ with YOLO rows; None without either."""
    if root.is_file():
        is_config = root.suffix.lower() in (".yaml", ".yml") and _reads(read_config, root) is not None
        return "a YOLO yaml" if is_config else None
    if not root.is_dir():
        return None
    config = next(find_configs(root), None)
    if config is not None:
        return f"a YOLO yaml ({config.relative_to(root)})"
    for images in (path for pattern in ("[iI]*", "*/[iI]*") for path in sorted(root.glob(pattern))):
        labels = labels_beside(images) if images.name.casefold() == "images" and images.is_dir() else None
        if labels is not None and _holds_rows(labels):
            return f"YOLO labels ({labels.relative_to(root)})"
    if any((root / name).is_file() for name in CLASS_FILES) and _holds_rows(root):
        return "YOLO labels beside the images"
    return None


def _holds_rows(folder: Path) -> bool:
    """Tell whether the first text files hold nothing but rows."""
    files = (path for path in walk(folder) if path.suffix.lower() == ".txt" and path.name not in NOT_LABELS)
    lines = [line for file in islice(files, NUM_PROBED) for line in _reads(read_lines, file) or []]
    return bool(lines) and all(_reads(read_row, line) is not None for line in lines)


def _reads(read: Callable[[T], R], what: T) -> R | None:
    """Return the result, or None if reading raises InstsegError."""
    try:
        return read(what)
    except InstsegError:
        return None


@dataclass(frozen=True, slots=True)
class YoloReader:
    """Reader of YOLO labels.

    Attributes:
        root: a folder with a data.yaml, or that yaml, or a folder with images/ and labels/ and no yaml.
    """

    FORMAT: ClassVar[str] = "yolo"
    VERSION: ClassVar[int] = 3
    root: Path

    def label_files(self) -> Iterable[Path]:
        """Return the text files, and the folders of the images: a new image without a text file changes its folder."""
        layout = find_layout(self.root)
        images = [image for listed in layout.images.values() for image in listed]
        folders = {image.parent for image in images if image.parent.is_dir()}
        labels = find_label_files(images)
        return [*layout.files, *folders, *labels.found.values(), *labels.unmatched]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the text file of every image.

        Raises:
            InstsegError: no text file has a usable row.
        """
        layout = find_layout(self.root)
        images = _without_repeated(layout.images, findings)
        for split in layout.missing:
            findings[next(iter(images))].add("split_missing", split)
        home = common_root({image.parent for listed in images.values() for image in listed}, layout.home)
        files = find_label_files(image for listed in images.values() for image in listed)
        for file in files.unmatched:
            findings[next(iter(images))].add("label_unmatched", str(file))
        collected = _Collector(layout.names)
        builders = {split: LabelsBuilder() for split in images}
        for split, listed in images.items():
            for loaded in map_in_threads(partial(_load, files), listed, READING):
                name = loaded.image.relative_to(home).as_posix()
                if loaded.image in files.respelled:
                    findings[split].add("label_respelled", f"{name} ({files.found[loaded.image].name})")
                collected.add(loaded, builders[split].add_image(name, loaded.size), builders[split], findings[split])
        collected.check(self.root)
        if not layout.names:
            for category in collected.categories():
                findings[next(iter(images))].add("category_unnamed", category)
        return {split: Labels(builder.coco(collected.categories()), home) for split, builder in builders.items()}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The rows of one image; ``size`` as displayed, None if there are no rows or the image cannot be read."""

    image: Path
    label_file: Path | None
    lines: list[str]
    size: ImageSize | None = None
    problem: str | None = None


def _load(files: LabelFiles, image: Path) -> _Loaded:
    label_file = files.found.get(image)
    if label_file is None:
        return _Loaded(image, None, [])
    try:
        lines = read_lines(label_file)
    except InstsegError as error:
        return _Loaded(image, label_file, [], problem=str(error))
    header = _reads(read_image_header, image) if lines else None
    return _Loaded(image, label_file, lines, header.displayed_size if header else None)


class _Collector:
    """Collector of the rows of each image, which notes whether the dataset as a whole is usable."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._used: set[int] = set()
        self._problem = ""  # the first
        self._all_pose: bool | None = None  # None: no polygon so far

    def add(self, loaded: _Loaded, image_id: int, builder: LabelsBuilder, findings: Findings) -> None:
        """Add the rows of one image.

        Args:
            loaded: its rows.
            image_id: from ``builder.add_image``.
            builder: the labels of its split.
            findings: gets what is left out.
        """
        if loaded.problem is not None:
            findings.add("label_invalid", loaded.problem)
        if loaded.size is None:
            return  # an empty image, or an unreadable one, which is reported later
        if (is_pose := looks_like_pose(loaded.lines)) is not None:
            self._all_pose = is_pose and self._all_pose is not False
        seen: set[str] = set()
        for number, line in enumerate(loaded.lines, start=1):
            where = f"{loaded.label_file}: row {number}"
            if line in seen:
                findings.add("shape_repeated", where)
                continue
            seen.add(line)
            try:
                self._add_row(read_row(line), where, image_id, loaded.size, builder, findings)
            except InstsegError as error:
                findings.add("shape_invalid", f"{where}: {error}")
                self._problem = self._problem or f"{where}: {error}"

    def _add_row(
        self, row: Row, where: str, image_id: int, size: ImageSize, builder: LabelsBuilder, findings: Findings
    ) -> None:
        if self._names and row.class_index not in self._names:
            findings.add("category_unknown", f"{where} (class {row.class_index})")
            return
        if row.has_score:
            findings.add("score_ignored", where)
        self._used.add(row.class_index)
        if row.is_box:
            builder.add_box(image_id, self._name(row.class_index), row.in_px(size))
        else:
            builder.add_polygons(image_id, self._name(row.class_index), [row.in_px(size)])

    def _name(self, class_index: int) -> str:
        return self._names.get(class_index, f"class_{class_index}")

    def categories(self) -> list[str]:
        """Return all named categories, else those that occur, by index."""
        return list(dict.fromkeys(map(self._name, sorted(self._names or self._used))))

    def check(self, root: Path) -> None:
        """Raise InstsegError if no row is usable, or all are boxes with key points."""
        if self._all_pose:
            raise InstsegError(f"{root}: its label files hold boxes with key points, not polygons: nothing to segment")
        if not self._used:
            raise InstsegError(f"{root}: no label file has a usable row. {self._problem or 'All are empty or missing'}")


def _without_repeated(images: Mapping[str, list[Path]], findings: Mapping[str, Findings]) -> dict[str, list[Path]]:
    """Drop splits with the same images as an earlier one, as when there is only one folder: it is split later."""
    kept: dict[str, list[Path]] = {}
    for split, listed in images.items():
        same = next((earlier for earlier, those in kept.items() if set(those) == set(listed)), None)
        if same is None:
            kept[split] = listed
        else:
            findings[same].add("split_repeated", f"{split} (the same as {same})")
    return kept
