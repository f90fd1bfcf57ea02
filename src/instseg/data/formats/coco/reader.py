"""Reader of COCO folders: finds the annotation files and the image folders of several layouts.

Recognised layouts, in this order:

- ``annotations/instances_<split>*.json`` with images in ``<split>*/``, ``images/<split>*/`` or ``images/``
- ``labels.json`` with ``data/`` (FiftyOne), at the top or in one folder per split
- ``<split>/_annotations.coco.json`` with the images beside it (Roboflow)
- a single json with the images beside it or in a folder beside it
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import clean_file_name, list_names, usable_text
from instseg.core.types import CocoAnnotation, CocoDict
from instseg.data.reading.coco_text import read_coco_text, whole
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import SPLIT_PATTERNS, split_named, split_of
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.option_values import given_path

OTHER_TASKS = ("captions_", "person_keypoints_", "image_info_", "stuff_", "panoptic_")
COCO_KEYS = re.compile(rb'"(images|annotations|categories|info|licenses)"')
OTHER_KEYS = re.compile(rb'"(shapes|mask)"\s*:')  # of LabelMe, and of masks.json
NUM_PROBED_IMAGES = 20
MAX_ID = 2**63 - 1
Kind = type | tuple[type, ...]
REQUIRED_KEYS: dict[str, dict[str, Kind]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int},
    "categories": {"id": int, "name": (str, int)},
}


@dataclass(frozen=True, slots=True)
class AnnotatedFolder:
    """An annotation file and the folder that its file names are relative to."""

    annotation_file: Path
    split: str | None = None  # None: one file has all images
    image_root: Path | None = None  # None: find it


@dataclass(frozen=True, slots=True)
class CocoReader:
    """Reader of COCO annotations.

    Attributes:
        root: a folder or one json.
        splits: ``{annotations, images}`` for each split, to override what is found.
    """

    root: Path
    splits: Mapping[str, Mapping[str, str | None] | None] | None = None

    def label_files(self) -> list[Path]:
        """Return the annotation files."""
        return [folder.annotation_file for folder in self.find().values()]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the annotation file of every split."""
        return {split: load_coco(folder) for split, folder in self.find().items()}

    def find(self) -> dict[str, AnnotatedFolder]:
        """Return the annotation file of each split, or of ``all`` when the folder has no splits.

        Raises:
            InstsegError: no annotations are found, or which file is which split cannot be told.
        """
        named = {split: paths for split, paths in (self.splits or {}).items() if paths and any(paths.values())}
        if named:
            return {split: self._given(split, paths) for split, paths in named.items()}
        files = find_annotation_files(self.root)
        if len(files) == 1:
            split = split_of(files[0], self.root)
            return {split or UNSPLIT: AnnotatedFolder(files[0], split)}
        found: dict[str, AnnotatedFolder] = {}
        for file in files:
            split = split_of(file, self.root)
            if split is None or split in found:
                names = [str(f.relative_to(self.root)) for f in files]
                raise InstsegError(
                    f"{self.root}: cannot tell which of these json is which split: {names}. Name them: "
                    "dataset.splits.train.annotations=… dataset.splits.val.annotations=…"
                )
            found[split] = AnnotatedFolder(file, split)
        return found

    def _given(self, split: str, paths: Mapping[str, str | None]) -> AnnotatedFolder:
        if split not in SPLIT_PATTERNS:
            raise InstsegError(f"dataset.splits.{split}: the splits are {', '.join(SPLIT_PATTERNS)}")
        annotations, images = paths.get("annotations"), paths.get("images")
        if not annotations:
            raise InstsegError(f"dataset.splits.{split}.images needs dataset.splits.{split}.annotations beside it")
        file = given_path(f"splits.{split}.annotations", annotations, self.root, is_file=True)
        return AnnotatedFolder(file, split, given_path(f"splits.{split}.images", images, self.root) if images else None)


def find_annotation_files(root: Path) -> list[Path]:
    """Find the instance annotation files of a folder in one of the layouts above.

    Raises:
        InstsegError: there is none.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InstsegError(f"dataset.root: no such folder: {root}")
    for pattern in (
        "annotations/instances_*.json",
        "annotations/*.json",
        "*.json",
        "*/_annotations.coco.json",
        "*/labels.json",
        "*/*.json",
    ):
        files = [f for f in sorted(root.glob(pattern)) if not f.name.startswith(OTHER_TASKS) and _looks_like_coco(f)]
        if files:
            return files
    raise InstsegError(
        f"{root}: no COCO annotations found. Expected annotations/instances_*.json, labels.json or one json "
        f"beside the images; found {list_names(sorted(path.name for path in root.iterdir()))}. dataset=auto detects "
        "the format"
    )


def recognise(root: Path) -> str | None:
    """Describe the annotation files, as in ``2 COCO json``; None when there are none."""
    try:
        files = find_annotation_files(root)
    except InstsegError:
        return None
    return f"{len(files)} COCO json" if all(map(_looks_like_coco, files)) else None


def _looks_like_coco(path: Path) -> bool:
    """Exclude result files (a list), LabelMe json, masks.json and others without parsing gigabytes."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:  # a folder with that name, or a file without read permission
        return False
    return head.startswith(b"{") and OTHER_KEYS.search(head) is None and COCO_KEYS.search(head) is not None


def load_coco(folder: AnnotatedFolder) -> Labels:
    """Read one annotation file, with clean file names relative to the image root that is returned.

    Annotations may still be unparsed text: see ``coco_text``.
    """
    text = read_coco_text(folder.annotation_file)
    coco = read_coco(folder.annotation_file) if text is None else checked_coco(text, folder.annotation_file)
    for image in coco["images"]:
        image["file_name"] = clean_file_name(image["file_name"], folder.annotation_file)
    image_root = folder.image_root or _declared_image_root(coco, folder.annotation_file)
    return Labels(coco, image_root or find_image_root(folder, [image["file_name"] for image in coco["images"]]))


def _declared_image_root(coco: CocoDict, annotation_file: Path) -> Path | None:
    """Return the image folder that ``predict.py`` declares for its predictions, or their own; None if none is declared.

    No other folder is tried: those nearby hold masks with the names of the images.
    """
    info, beside = coco.get("info"), annotation_file.parent
    declared = usable_text(info.get("image_folder")) if isinstance(info, dict) else ""
    if not declared:
        return None
    if os.path.isdir(beside / declared):  # noqa: PTH112  (raises for no name)
        return beside / declared
    if any((beside / image["file_name"]).is_file() for image in coco["images"]):
        return beside
    raise InstsegError(
        f"{annotation_file}: its images should be in {declared}: no such folder. Set info.image_folder "
        "of the json, or move the json to the images"
    )


def read_coco(path: Path) -> CocoDict:
    """Parse and check one annotation file; file names stay as they are, category names become text."""
    return checked_coco(read_json(path), path)


def checked_coco(coco: object, path: Path) -> CocoDict:
    """Check that parsed json has what the index needs, and turn category names into text.

    Args:
        coco: the parsed json; changed in place.
        path: the file, for messages.

    Raises:
        InstsegError: something is missing or has another type.
    """
    sections = coco if isinstance(coco, dict) else {}
    missing = [key for key in REQUIRED_KEYS if not isinstance(sections.get(key), list)]
    if missing:
        found = sorted(sections)[:8] if isinstance(coco, dict) else type(coco).__name__
        raise InstsegError(f"{path}: not a COCO file: no list named {', '.join(missing)}; found {found}")
    _check_sections(sections, path)
    return cast(CocoDict, sections)


def _check_sections(coco: dict[str, list[dict[str, object]]], path: Path) -> None:
    if not coco["images"]:
        raise InstsegError(f"{path}: its list of images is empty")
    for section, keys in REQUIRED_KEYS.items():
        _check_entries(coco[section], keys, f"{path}: {section}")
    for section in ("images", "categories"):  # annotations are never looked up by id
        _check_ids([entry["id"] for entry in coco[section]], f"{path}: {section}")
    for category in coco["categories"]:
        category["name"] = str(category["name"])


def _check_entries(entries: Sequence[object], keys: Mapping[str, Kind], where: str) -> None:
    for position, entry in enumerate(entries):
        has = entry if isinstance(entry, dict) else {}
        wrong = [key for key, kind in keys.items() if not _is_usable(has.get(key), kind)]
        if wrong:
            found = str(whole(cast(CocoAnnotation, entry)) if has else entry)[:120]
            raise InstsegError(f"{where}[{position}] has no usable {', '.join(wrong)}: {found}")


def _is_usable(value: object, kind: Kind) -> bool:
    return isinstance(value, kind) and (not isinstance(value, int) or abs(value) <= MAX_ID)


def _check_ids(ids: list[object], where: str) -> None:
    twice = [entry_id for entry_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise InstsegError(f"{where} holds the id {twice[0]} more than once")


def find_image_root(folder: AnnotatedFolder, file_names: Iterable[str]) -> Path:
    """Find the folder near the json that holds most of a sample of the images.

    Args:
        folder: the annotation file and its split.
        file_names: those of its images.

    Raises:
        InstsegError: no folder holds any of them.
    """
    names = sorted(file_names)
    sample = names[:: max(1, len(names) // NUM_PROBED_IMAGES)]
    candidates = list(dict.fromkeys(_image_root_candidates(folder.annotation_file, folder.split)))
    hits = [sum((candidate / name).is_file() for name in sample) for candidate in candidates]
    if not any(hits):
        tried = ", ".join(str(c) for c in candidates)
        raise InstsegError(f"{folder.annotation_file}: its images, such as {names[:1]}, are in none of: {tried}")
    return candidates[hits.index(max(hits))]


def _image_root_candidates(annotation_file: Path, split: str | None) -> Iterator[Path]:
    """Yield the likeliest first; never a folder named after another split: it may hold other images of these names."""
    base = annotation_file.parent
    stem = re.sub(r"^(instances|labels|annotations|coco)[_-]?", "", annotation_file.stem)
    homes = (base.parent, base) if base.name == "annotations" else (base, base.parent)
    nearest, *others = [[home, home / "images", home / "data"] for home in homes]
    places = [place for place in (*nearest, *others[0]) if place.is_dir()]
    yield from (place / stem for place in places if stem and (place / stem).is_dir())
    subfolders = [f for place in nearest if place.is_dir() for f in sorted(place.iterdir()) if f.is_dir()]
    yield from (folder for folder in subfolders if split and split_named(folder.name) == split)
    yield from sorted(places, key=lambda place: place in homes)  # images/ and data/ before the homes themselves
    yield from (folder for folder in subfolders if split is None or split_named(folder.name) is None)
