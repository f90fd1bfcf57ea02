"""Layouts of COCO folders: the annotation files, and the folder of their images.

Recognised layouts, in this order:

- ``annotations/instances_<split>*.json`` with images in ``<split>*/``, ``images/<split>*/`` or ``images/``
- ``labels.json`` with ``data/`` (FiftyOne), at the top or in one folder per split
- ``<split>/_annotations.coco.json`` with the images beside it (Roboflow)
- a single json with the images beside it or in a folder beside it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.data.reading.folders import split_named

OTHER_TASKS = ("captions_", "person_keypoints_", "image_info_", "stuff_", "panoptic_")
COCO_KEYS = re.compile(rb'"(images|annotations|categories|info|licenses)"')
OTHER_KEYS = re.compile(
    rb'"(shapes|mask|media_type)"\s*:|"segments_info"|"items?"\s*:\s*[\[{]|"image"\s*:\s*\{|"instances"\s*:\s*\['
)
"""Of LabelMe, masks.json, FiftyOne, COCO panoptic, Datumaro, Darwin, SA-1B and SuperAnnotate."""
NUM_PROBED_IMAGES = 20


@dataclass(frozen=True, slots=True)
class AnnotatedFolder:
    """An annotation file and the folder that its file names are relative to."""

    annotation_file: Path
    split: str | None = None  # None: one file has all images
    image_root: Path | None = None  # None: find it


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
        files = [f for f in sorted(root.glob(pattern)) if not f.name.startswith(OTHER_TASKS) and looks_like_coco(f)]
        if files:
            return files
    raise InstsegError(
        f"{root}: no COCO annotations found. Expected annotations/instances_*.json, labels.json or one json "
        f"beside the images; found {list_names(sorted(path.name for path in root.iterdir()))}. dataset=auto detects "
        "the format"
    )


def looks_like_coco(path: Path) -> bool:
    """Tell COCO json from result files (a list), LabelMe json, masks.json and others, without parsing gigabytes."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:  # a folder with that name, or a file without read permission
        return False
    return head.startswith(b"{") and OTHER_KEYS.search(head) is None and COCO_KEYS.search(head) is not None


def find_image_root(folder: AnnotatedFolder, file_names: Iterable[str]) -> Path | None:
    """Find the folder near the json that holds most of a sample of the images; None where none holds any.

    Args:
        folder: the annotation file and its split.
        file_names: those of its images.
    """
    names = sorted(file_names)
    sample = names[:: max(1, len(names) // NUM_PROBED_IMAGES)]
    candidates = list(dict.fromkeys(_image_root_candidates(folder.annotation_file, folder.split)))
    hits = [sum((candidate / name).is_file() for name in sample) for candidate in candidates]
    return candidates[hits.index(max(hits))] if any(hits) else None


def not_found(folder: AnnotatedFolder, example: str) -> InstsegError:
    """Return the error for a json of which no image is there.

    Args:
        folder: the annotation file and its split.
        example: file name of one of its images.
    """
    tried = ", ".join(str(c) for c in dict.fromkeys(_image_root_candidates(folder.annotation_file, folder.split)))
    return InstsegError(f"{folder.annotation_file}: its images, such as ['{example}'], are in none of: {tried}")


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
