"""COCO folders: find the annotation files and the image folders, whatever the layout.

Layouts that are recognised, in this order:

- ``annotations/instances_<split>*.json`` with images in ``<split>*/``, ``images/<split>*/`` or ``images/``
- ``labels.json`` with ``data/`` (FiftyOne), at the top or in one folder per split
- ``<split>/_annotations.coco.json`` with the images beside it (Roboflow)
- a single json with the images beside it or in a folder beside it
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import clean_file_name, list_names, usable_text
from instseg.core.types import CocoDict
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
REQUIRED_KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int},
    "categories": {"id": int, "name": (str, int)},
}


@dataclass(frozen=True, slots=True)
class AnnotatedFolder:
    """One annotation file and the folder its file names start from."""

    annotation_file: Path
    split: str | None = None  # None: all images in one file
    image_root: Path | None = None  # None: to be found


@dataclass(frozen=True, slots=True)
class CocoReader:
    """``root`` is a folder or one json; ``splits`` may name ``{annotations, images}`` for each split by hand."""

    root: Path
    splits: Mapping[str, Mapping[str, str | None] | None] | None = None

    def label_files(self) -> list[Path]:
        return [folder.annotation_file for folder in self.find().values()]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        return {split: load_coco(folder) for split, folder in self.find().items()}

    def find(self) -> dict[str, AnnotatedFolder]:
        """Split name -> where it is; the key is ``all`` when the folder has no splits."""
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
    """The instance annotation files of a folder, by the layouts above. InstsegError when there is none."""
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
        f"beside the images; found {list_names(sorted(path.name for path in root.iterdir()))}. dataset=auto tells "
        "formats apart"
    )


def recognise(root: Path) -> str | None:
    """``2 COCO json`` where ``find_annotation_files`` finds some."""
    try:
        files = find_annotation_files(root)
    except InstsegError:
        return None
    return f"{len(files)} COCO json" if all(map(_looks_like_coco, files)) else None


def _looks_like_coco(path: Path) -> bool:
    """Keeps result files (a list), LabelMe's json, masks.json and others out, without parsing gigabytes."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:  # a folder of such a name, or a file that may not be read
        return False
    return head.startswith(b"{") and OTHER_KEYS.search(head) is None and COCO_KEYS.search(head) is not None


def load_coco(folder: AnnotatedFolder) -> Labels:
    """One annotation file; file names are cleaned and start from the image root that is returned.

    Its annotations may be text still: see ``coco_text``.
    """
    text = read_coco_text(folder.annotation_file)
    coco = read_coco(folder.annotation_file) if text is None else checked_coco(text, folder.annotation_file)
    for image in coco["images"]:
        image["file_name"] = clean_file_name(image["file_name"], folder.annotation_file)
    told = folder.image_root or _told_image_root(coco, folder.annotation_file)
    return Labels(coco, told or find_image_root(folder, [image["file_name"] for image in coco["images"]]))


def _told_image_root(coco: CocoDict, annotation_file: Path) -> Path | None:
    """Where ``predict.py`` says that the images of its predictions are, else beside them; None where nothing is said.

    Not sought anywhere else: the folders around hold masks that are called like the images.
    """
    info, beside = coco.get("info"), annotation_file.parent
    told = usable_text(info.get("image_folder")) if isinstance(info, dict) else ""
    if not told:
        return None
    if os.path.isdir(beside / told):  # noqa: PTH112  (raises for no name)
        return beside / told
    if any((beside / image["file_name"]).is_file() for image in coco["images"]):
        return beside
    raise InstsegError(
        f"{annotation_file}: its images should be in {told}, and there is no such folder: name it in info.image_folder "
        "of the json, or move the json to where the images are"
    )


def read_coco(path: Path) -> CocoDict:
    """Parse and check one annotation file; file names are left as they are, category names become text."""
    return checked_coco(read_json(path), path)


def checked_coco(coco: Any, path: Path) -> CocoDict:
    """What was parsed, category names as text; InstsegError unless it has what the index needs."""
    missing = [key for key in REQUIRED_KEYS if not isinstance(coco, dict) or not isinstance(coco.get(key), list)]
    if missing:
        found = sorted(coco)[:8] if isinstance(coco, dict) else type(coco).__name__
        raise InstsegError(f"{path}: not a COCO file: no list named {', '.join(missing)}; found {found}")
    if not coco["images"]:
        raise InstsegError(f"{path}: its list of images is empty")
    for section, keys in REQUIRED_KEYS.items():
        _check_entries(coco[section], keys, f"{path}: {section}")
    for section in ("images", "categories"):  # annotations are not looked up by their id
        _check_ids([entry["id"] for entry in coco[section]], f"{path}: {section}")
    for category in coco["categories"]:
        category["name"] = str(category["name"])
    return cast(CocoDict, coco)


def _check_entries(entries: list[Any], keys: Mapping[str, Any], where: str) -> None:
    for position, entry in enumerate(entries):
        has = entry if isinstance(entry, dict) else {}
        wrong = [key for key, kind in keys.items() if not _is_usable(has.get(key), kind)]
        if wrong:
            found = str(whole(entry) if has else entry)[:120]
            raise InstsegError(f"{where}[{position}] has no usable {', '.join(wrong)}: {found}")


def _is_usable(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and (not isinstance(value, int) or abs(value) <= MAX_ID)


def _check_ids(ids: list[int], where: str) -> None:
    twice = [entry_id for entry_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise InstsegError(f"{where} holds the id {twice[0]} more than once")


def find_image_root(folder: AnnotatedFolder, file_names: Iterable[str]) -> Path:
    """The folder near the json that holds most of a sample of the images; InstsegError when none holds any."""
    names = sorted(file_names)
    sample = names[:: max(1, len(names) // NUM_PROBED_IMAGES)]
    candidates = list(dict.fromkeys(_image_root_candidates(folder.annotation_file, folder.split)))
    hits = [sum((candidate / name).is_file() for name in sample) for candidate in candidates]
    if not any(hits):
        tried = ", ".join(str(c) for c in candidates)
        raise InstsegError(f"{folder.annotation_file}: its images, such as {names[:1]}, are in none of: {tried}")
    return candidates[hits.index(max(hits))]


def _image_root_candidates(annotation_file: Path, split: str | None) -> Iterator[Path]:
    """The likeliest first. Never a folder named after another split: it may hold other images of the same names."""
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
