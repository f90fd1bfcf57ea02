"""Layout of a YOLO dataset: the images of each split and the names of its classes.

As Ultralytics reads it (ultralytics/data/utils.py): a yaml with ``path``, ``train``, ``val``, ``test`` and ``names``,
each split a folder, a text file that lists images, or several of these. Paths from another machine are matched by
their last parts. Without a yaml all images are used, and folders named train, val and test are splits.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.text import is_file_name, list_names, usable_text
from instseg.data.formats.yolo.config import (
    SPLIT_KEYS,
    find_configs,
    names_of_config,
    names_of_files,
    numbered_names,
    read_config,
)
from instseg.data.reading.folders import check_all_split, check_folder, split_named, split_of_folders, walk
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import UNSPLIT


@dataclass(frozen=True, slots=True)
class YoloLayout:
    """Layout of a dataset; paths are absolute.

    Attributes:
        home: the folder that image names are relative to, for images below it.
        images: of each split.
        names: class index -> name; empty if the dataset has none.
        files: the files that the layout was read from: the yaml, lists of images, names of classes.
        missing: splits that the yaml names and that are not there.
    """

    home: Path
    images: Mapping[str, list[Path]]
    names: Mapping[int, str]
    files: list[Path]
    missing: Sequence[str] = ()


def find_layout(root: Path) -> YoloLayout:
    """Find the layout of a folder, or of its yaml.

    Raises:
        InstsegError: it has no image.
    """
    config = root if root.is_file() else _find_config(root)
    place = Path(os.path.normpath((config or root).absolute()))  # links are not resolved: their own folder counts
    return _layout_of_folders(place) if config is None else _layout_of_config(place)


def _find_config(root: Path) -> Path | None:
    check_folder(root)
    found = list(find_configs(root))
    if len(found) > 1:
        names = list_names(path.relative_to(root) for path in found)
        raise InstsegError(
            f"{root}: more than one yaml describes a YOLO dataset: {names}. Give one: dataset.root=….yaml"
        )
    broken = root / "data.yaml"
    if not found and broken.is_file():
        read_config(broken)
    return found[0] if found else None


def _layout_of_config(path: Path) -> YoloLayout:
    config = read_config(path)
    if "kpt_shape" in config:
        raise InstsegError(f"{path}: its labels are key points (kpt_shape), not polygons: nothing to segment")
    files = [path]
    homes = [home for home in (_joined(path.parent, config.get("path")), path.parent) if home is not None]
    images: dict[str, list[Path]] = {}
    missing: list[str] = []
    for split, keys in SPLIT_KEYS.items():
        given = next((config[key] for key in keys if config.get(key)), None)
        listed = given if isinstance(given, list) else [] if given is None else [given]
        found = [image for value in listed for image in _images_of(value, split, homes, path, files)]
        if found:
            images[split] = list(dict.fromkeys(found))
        elif given is not None:
            missing.append(f"{split} ({usable_text(given)[:80] or 'several places'})")
    if not images:
        raise InstsegError(f"{path}: no image in any of its splits")
    names = names_of_config(config, path) or names_of_files(path.parent, files)
    return YoloLayout(homes[0], images, names or numbered_names(config.get("nc")), files, missing)


def _images_of(value: object, split: str, homes: list[Path], config: Path, files: list[Path]) -> list[Path]:
    place = next((p for home in homes if (p := _joined(home, value))), None) or _by_last_parts(value, homes)
    if place is None and split != "train":
        return []  # some exports name splits that they lack
    if place is None:
        named = usable_text(value)[:200] or type(value).__name__
        raise InstsegError(f"{config}: {split}: no such folder or file: {named}, from {list_names(homes)}")
    if place.is_dir():
        return [image for image in walk(place) if image.suffix.lower() in IMAGE_EXTENSIONS]
    if place.suffix.lower() in IMAGE_EXTENSIONS:
        return [place]
    files.append(place)
    homes = [place.parent, *homes]
    lines = [line for line in read_lines(place) if PurePosixPath(line).suffix.lower() in IMAGE_EXTENSIONS]
    return [_listed_image(line, homes) for line in lines]


def _listed_image(line: str, homes: list[Path]) -> Path:
    """Find an image of a list; a missing one gets a path too, to be reported as missing."""
    found = next((p for home in homes if (p := _joined(home, line))), None) or _by_last_parts(line, homes)
    name = PurePosixPath(usable_text(line).replace("\\", "/")).name
    return found or homes[-1] / (name if is_file_name(name) else "unreadable name")


def _joined(home: Path, value: object) -> Path | None:
    """Return the normalised path of an existing file or folder."""
    text = usable_text(value).replace("\\", "/")
    try:
        path = Path(os.path.normpath(home / text))
        return path if text and (path.is_dir() or path.is_file()) else None
    except OSError:  # for example a name that is too long
        return None


def _by_last_parts(value: object, homes: list[Path]) -> Path | None:
    """Find the longest suffix of a path that exists here: for paths of another machine, or with too many ``..``.

    A part that names a split is never dropped: test/images does not mean all of images.
    """
    parts = [p for p in PurePosixPath(usable_text(value).replace("\\", "/")).parts if p not in ("/", "..")]
    needed = max((place for place, part in enumerate(parts[:-1]) if split_named(part)), default=len(parts) - 1)
    ends = ("/".join(parts[start:]) for start in range(needed + 1))
    return next((path for end in ends for home in homes if (path := _joined(home, end))), None)


def _layout_of_folders(root: Path) -> YoloLayout:
    """Use the images in folders called images if there are any: others are plots and previews."""
    found = [path for path in walk(root) if path.suffix.lower() in IMAGE_EXTENSIONS]
    in_images = [path for path in found if "images" in map(str.casefold, path.relative_to(root).parts[:-1])]
    images: defaultdict[str, list[Path]] = defaultdict(list)
    for image in in_images or found:
        images[split_of_folders(image, root) or UNSPLIT].append(image)
    if not images:
        raise InstsegError(
            f"{root}: expected a YOLO dataset with a data.yaml, or with images/ and labels/; found neither"
        )
    check_all_split([str(image) for image in images.get(UNSPLIT, [])], images.keys() - {UNSPLIT}, root)
    files: list[Path] = []
    return YoloLayout(root, images, names_of_files(root, files), files)
