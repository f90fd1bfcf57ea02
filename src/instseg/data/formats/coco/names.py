"""Names of images in COCO files, and the files that they mean where they are not where the labels say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from instseg.core.text import is_file_name, usable_text
from instseg.core.types import CocoImage
from instseg.data.reading.findings import Findings
from instseg.data.reading.folder_words import is_mask_folder
from instseg.data.reading.folders import ImageFinder, common_root, prefix_from, split_named, split_of_folders

DRIVE = re.compile(r"^([A-Za-z]:)?/+")


def image_name(entry: dict[str, object]) -> str | None:
    """Return the file name of an entry, as a path that leads out of no folder; None where it has none.

    Folders of another machine stay, without drive and ``..``: the file is found by the end of its path. LVIS has the
    address in COCO instead, whose last folder and name are those of the image.
    """
    name = usable_text(entry.get("file_name"))
    if not name and (url := usable_text(entry.get("coco_url"))):
        name = "/".join(PurePosixPath(unquote(urlsplit(url).path)).parts[-2:])
    path = PurePosixPath(DRIVE.sub("", name.replace("\\", "/")))
    parts = path.parts[len(path.parts) - path.parts[::-1].index("..") :] if ".." in path.parts else path.parts
    parts = tuple(part for part in parts if part not in ("/", "."))
    return "/".join(parts) if parts and all(map(is_file_name, parts)) else None


def is_misplaced(image_root: Path, name: str) -> bool:
    """Tell whether there is no such image.

    Args:
        image_root: the folder that names start from.
        name: of the image.
    """
    return not os.path.isfile(image_root / name)  # noqa: PTH113  (never raises)


def relocate(images: Sequence[CocoImage], image_root: Path, home: Path, split: str | None, findings: Findings) -> Path:
    """Give images that are not at their place the name of the file that they can only mean, in place.

    That is the one with the longest end of the path in common, in any Unicode form and case, below the dataset; never a
    mask, nor an image of another split.

    Args:
        images: entries whose names start from ``image_root``.
        image_root: the folder of most images.
        home: the folder of the dataset.
        split: of the images.
        findings: gets the images that were found so.

    Returns:
        The folder that all names start from afterwards.
    """
    misplaced = [image for image in images if is_misplaced(image_root, image["file_name"])]
    if not misplaced:
        return image_root
    finder = ImageFinder(home)
    finder = ImageFinder(home, _candidates(finder.names, home, split))
    found = {image["id"]: finder.find_by_end(image["file_name"]) for image in misplaced}
    if not any(found.values()):
        return image_root
    root = common_root([image_root.absolute(), home.absolute()])
    own, elsewhere = prefix_from(root, image_root), prefix_from(root, home)
    for image in images:
        name = found.get(image["id"])
        if name is not None:
            findings.add("image_found_elsewhere", f"{image['file_name']} ({name})")
        image["file_name"] = own + image["file_name"] if name is None else elsewhere + name
    return root


def _candidates(names: Iterable[str], home: Path, split: str | None) -> list[str]:
    return [
        name
        for name in names
        if not is_mask_folder(name.rpartition("/")[0])
        and (split is None or split_of_folders(home / name, home) in (None, split_named(split)))
    ]
