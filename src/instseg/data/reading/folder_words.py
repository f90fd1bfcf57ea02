"""Words in the names of folders that tell masks from images."""

from __future__ import annotations

import re
from functools import cache
from pathlib import PurePosixPath

IMAGE_WORDS = frozenset(
    {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpegimages", "frames"}
)
MASK_WORDS = frozenset(
    {"mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations"}
    | {"segmentationobject", "segmentationclass", "instance", "instances", "gt", "groundtruth", "truth"}
)
CAMEL_CASE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
ENDINGS = ("masks", "mask", "labels")


@cache
def is_mask_folder(folder: str) -> bool | None:
    """Tell whether a posix path is a folder of masks or of images, by its innermost such name; None if it has none."""
    for name in reversed(PurePosixPath(folder).parts):
        words = _words_of(name)
        if words & (MASK_WORDS | IMAGE_WORDS):
            return bool(words & MASK_WORDS)
    return None


def _words_of(folder: str) -> set[str]:
    """Return the words of a folder's name: ``PedMasks`` has masks, ``labelsTr`` labels, ``bitmasks`` masks."""
    words = {*re.split(r"[^a-z]+", folder.lower()), *map(str.lower, CAMEL_CASE.findall(folder))}
    return words | {ending for ending in ENDINGS if any(word.endswith(ending) for word in words)}
