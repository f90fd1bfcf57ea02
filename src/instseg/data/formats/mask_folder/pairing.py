"""Pairing of mask files with images, and the categories in their names; from names alone, no file is opened.

A file is a mask when a folder above it is called masks, labels, annotations, segmentation, … (the innermost folder
called so, or images, jpegimages, …, decides), or when its name is that of an image beside it plus ``_mask`` or
``_mask_<n>``. If any folder is called images, jpegimages, …, only files there are images. A mask belongs to the
image in the same folders, these names aside (``train/images/a.jpg``, ``train_masks/a.png``), if its name is, in order:

1. ``a.png`` (also ``a.jpg.png``): the name of ``a.jpg``
2. ``a/<anything>.png``: in a folder with the image's name, or in the mask folder beside the image's folder
3. ``a_<anything>.png``: also with ``-``, ``.`` or a space after the image's name

Next the same with one more folder, which names the category (``masks/car/a_3.png``), then in any folder if only one
image has the name. Without such a folder, letters in <anything> name the category (``a_car_1.png``), except words such
as mask, instance or object. Other names need a pattern.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from instseg.core.errors import InstsegError
from instseg.data.reading.folder_words import MASK_WORDS, is_mask_folder
from instseg.data.reading.folders import split_named
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.spelling import alike

SAYS_NOTHING = MASK_WORDS | {"object", "objects", "obj", "inst", "seg", "binary", "id", "no", "nr"}
"""Words in file names that are not categories."""
WITHOUT_MEANING = "|".join(sorted(SAYS_NOTHING, key=len, reverse=True))
EDGES = re.compile(rf"^((?:{WITHOUT_MEANING})([_\-. ]+|$))+|([_\-. ]+(?:{WITHOUT_MEANING}))+$", re.IGNORECASE)
MASK_NAME = re.compile(r"[_\-. ]masks?([_\-. ]?\d+)?$", re.IGNORECASE)
CHANNEL = re.compile(r"_0000$")
"""Behind the names of images in nnU-Net's imagesTr, not of those in labelsTr."""
SEPARATOR = re.compile(r"[_\-. ]+")
CATEGORY = re.compile(r"(?:\d+[_\-. ]+)?(?P<name>[^\d]*[^\d_\-. ])?[_\-. ]*\d*")
"""Letters with a number before or after them; hashes, which mix both, do not match."""

Place = tuple[str, ...]
"""The folders of a file without those that mean image or mask; splits in their canonical spelling."""


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask file, its image, and the category in its name."""

    name: str  # path from the root
    image: str  # path from the root of the images
    category: str | None  # from the names


def divide_files(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the image files below a root into images and masks."""
    stems = {name.rpartition(".")[0] for name in names}
    kinds: defaultdict[bool | None, list[str]] = defaultdict(list)
    for name in names:
        stem = name.rpartition(".")[0]
        own_name = MASK_NAME.search(stem)
        of_neighbour = own_name is not None and stem[: own_name.start()] in stems
        kinds[of_neighbour or is_mask_folder(name.rpartition("/")[0])].append(name)
    return kinds[False] or kinds[None], kinds[True]


class Pairing:
    """Finder of the image of a mask among all images."""

    def __init__(self, images: Iterable[str], spelled: Callable[[str], str] = str) -> None:
        """Index the images.

        Args:
            images: posix paths from the root.
            spelled: makes names equal that mean the same.
        """
        self._spelled = spelled
        self._at: dict[tuple[Place, str], str] = {}
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        for image in images:
            place, stem = _place_and_stem(image)
            self._at.setdefault(self._key(place, stem), image)
            self._named[spelled(stem)].append(image)
            if without := CHANNEL.sub("", stem):
                self._at.setdefault(self._key(place, without), image)

    def _key(self, place: Place, stem: str) -> tuple[Place, str]:
        return tuple(map(self._spelled, place)), self._spelled(stem)

    def pair(self, mask: str) -> MaskFile | None:
        """Return the mask with its image; None if it belongs to no image, or to several equally well."""
        place, stem = _place_and_stem(mask)
        for folders, category in _with_and_without_category(place):
            for where, name, rest in _candidates(folders, stem):
                if (image := self._at.get(self._key(where, name))) is not None:
                    return MaskFile(mask, image, category or _category_in(rest))
        for _, name, rest in _candidates(place, stem):
            if len(images := self._named.get(self._spelled(name), [])) == 1:
                return MaskFile(mask, images[0], _category_in(rest))
        return None


def pair_by_name(masks: Sequence[str], images: Sequence[str]) -> tuple[list[MaskFile], list[str]]:
    """Pair masks with images by their names; what is left of both by names in another spelling.

    Args:
        masks: paths from their root.
        images: paths from their root.

    Returns:
        The masks with their images, and the masks that belong to no image.
    """
    pairing = Pairing(images)
    pairs = {mask: pairing.pair(mask) for mask in masks}
    if alone := [mask for mask, pair in pairs.items() if pair is None]:
        taken = {pair.image for pair in pairs.values() if pair is not None}
        free = {image: alike(image.rpartition(".")[0]) for image in images if image not in taken}
        numbers = Counter(free.values())
        respelled = Pairing((image for image, name in free.items() if numbers[name] == 1), alike)
        pairs |= {mask: respelled.pair(mask) for mask in alone}
    return [pair for pair in pairs.values() if pair is not None], [mask for mask in masks if pairs[mask] is None]


def _place_and_stem(name: str) -> tuple[Place, str]:
    path = PurePosixPath(name)
    stem = path.stem
    if PurePosixPath(stem).suffix.lower() in IMAGE_EXTENSIONS:
        stem = PurePosixPath(stem).stem
    return _place(str(path.parent)), stem


@cache
def _place(folder: str) -> Place:
    parts = []
    for name in PurePosixPath(folder).parts:
        says_kind = is_mask_folder(name) is not None
        if (split := split_named(name)) is not None or not says_kind:
            parts.append(split or name)
    return tuple(parts)


def _with_and_without_category(place: Place) -> Iterator[tuple[Place, str | None]]:
    yield place, None
    for i in reversed(range(len(place))):
        yield (*place[:i], *place[i + 1 :]), None if split_named(place[i]) else place[i]


def _candidates(place: Place, stem: str) -> Iterator[tuple[Place, str, str]]:
    """Yield place and stem of the images that a mask may belong to, and the rest of the mask's name."""
    yield place, stem, ""
    if place:
        yield place[:-1], place[-1], stem
        yield place, place[-1], stem
    for separator in reversed(list(SEPARATOR.finditer(stem))):
        yield place, stem[: separator.start()], stem[separator.end() :]


def _category_in(rest: str) -> str | None:
    match = CATEGORY.fullmatch(rest)
    return EDGES.sub("", match["name"] or "") or None if match else None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile ``dataset.pattern``.

    Raises:
        InstsegError: it is not a regular expression or lacks the group ``stem``.
    """
    try:
        expression = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InstsegError(f"dataset.pattern={pattern}: not a regular expression: {error}") from error
    if "stem" not in expression.groupindex:
        raise InstsegError(f"dataset.pattern={pattern}: expected a group for the image's name: (?P<stem>…)")
    return expression


def pair_by_pattern(
    names: Sequence[str], images: Sequence[str], pattern: re.Pattern[str]
) -> tuple[list[MaskFile], list[str]]:
    """Pair masks with images by a pattern.

    Args:
        names: candidates; those that the pattern matches in full are masks.
        images: paths from their root.
        pattern: its group ``stem`` is an image's path without extension, or a name that only one image has; its
            optional group ``category`` is the category.

    Returns:
        The masks with their images, and the masks that belong to no image.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        path = PurePosixPath(image)
        for key in {str(path.with_suffix("")), path.stem}:
            found[key].append(image)
    pairs, alone = [], []
    for match in filter(None, map(pattern.fullmatch, names)):
        of_mask = found.get(match["stem"] or "", [])
        if len(of_mask) == 1:
            pairs.append(MaskFile(match.string, of_mask[0], match.groupdict().get("category")))
        else:
            alone.append(match.string)
    return pairs, alone
