"""Reader of COCO panoptic: ``annotations/panoptic_<split>.json``, and PNG whose colours are the ids of segments.

Things are instances; stuff, which is no object, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import list_names, usable_text
from instseg.data.formats.image_labels import ImageLabels, read_in_threads, taking_turns, usable_labels
from instseg.data.formats.mask_values import rles_of_values
from instseg.data.formats.plain_json import as_list, as_object, size_of
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_folder, split_named, split_of_folders
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.pixel_limits import check_pixels, room_for

NUM_PROBED_BYTES = 262_144
"""At either end of a file, whose images or categories may come before and after its annotations."""


def recognise(root: Path) -> str | None:
    """Describe the json of panoptic labels; None where there is none."""
    found = list(_files(root)) if root.is_dir() else []
    return f"{len(found)} COCO panoptic json" if found else None


def _files(root: Path) -> Iterator[Path]:
    for pattern in ("annotations/*panoptic*.json", "*panoptic*.json"):
        yield from (file for file in sorted(root.glob(pattern)) if _is_panoptic(file))


def _is_panoptic(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(NUM_PROBED_BYTES)
            opened.seek(max(0, opened.seek(0, 2) - NUM_PROBED_BYTES))
            return b"segments_info" in head + opened.read()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class PanopticReader:
    """Reader of COCO panoptic; files named train, val and test are splits.

    Attributes:
        root: the folder with ``annotations/``, the images and the folders of the PNG.
    """

    FORMAT: ClassVar[str] = "panoptic"
    VERSION: ClassVar[int] = 1
    root: Path

    def label_files(self) -> list[Path]:
        """Return the json, and the PNG that they name.

        Raises:
            InstsegError: there is no json.
        """
        check_folder(self.root)
        files = list(_files(self.root))
        if not files:
            found = list_names(sorted(path.name for path in self.root.iterdir()))
            raise InstsegError(f"{self.root}: expected annotations/panoptic_*.json, found {found}")
        masks = [self.root / name for file in files for name in _Masks(self.root, file).names]
        return [*files, *masks]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the segments of all images."""
        files = list(_files(self.root)) or self.label_files()
        all_masks = {name for file in files for name in _Masks(self.root, file).names}
        every = ImageFinder(self.root)
        finder = ImageFinder(self.root, [name for name in every.names if name not in all_masks])
        images = [image for file in files for image in _images_of(file, self.root, finder, findings)]
        builders = read_in_threads(partial(_read_image, self.root), images, findings)
        return usable_labels(builders, self.root, findings, f"{self.root}: COCO panoptic")


class _Masks:
    """The PNG of one json: in the folder of its name, beside it or in the root."""

    def __init__(self, root: Path, file: Path) -> None:
        folders = (file.with_suffix(""), root / file.stem, root / "annotations" / file.stem)
        self.folder = next((folder for folder in folders if folder.is_dir()), root / file.stem)
        self.names = [png.relative_to(root).as_posix() for png in sorted(self.folder.glob("*.png"))]


@dataclass(frozen=True, slots=True)
class _PanopticImage:
    name: str
    split: str
    mask: Path
    entry: Mapping[str, object]
    segments: list[object]
    things: Mapping[object, str | None]  # category id -> name, None for stuff


def _images_of(
    file: Path, root: Path, finder: ImageFinder, findings: Mapping[str, Findings]
) -> Iterator[_PanopticImage]:
    """Yield the images that a json has masks of; entries that name no image or no mask are reported."""
    content, masks = as_object(read_json(file)), _Masks(root, file)
    entries = {str(image.get("id")): image for image in map(as_object, as_list(content.get("images")))}
    things, split = _things_of(content), split_named(file.stem)
    for number, annotation in enumerate(map(as_object, as_list(content.get("annotations")))):
        entry = entries.get(str(annotation.get("image_id")))
        mask = PurePosixPath(usable_text(annotation.get("file_name")).replace("\\", "/")).name
        if entry is None or not mask:
            where = f"{file.name}: annotations[{number}]"
            findings[split or UNSPLIT].add("label_invalid", f"{where} names no image or no mask")
            continue
        wanted = usable_text(entry.get("file_name")) or mask
        found = finder.find(wanted, split or "")
        by_folder = split_of_folders(root / found, root) if found else None
        segments = as_list(annotation.get("segments_info"))
        name, of_split = found or wanted, split or by_folder or UNSPLIT
        yield _PanopticImage(name, of_split, masks.folder / mask, entry, segments, things)


def _things_of(content: Mapping[str, object]) -> dict[object, str | None]:
    """Return category id -> name; None for stuff, and for a thing without a name."""
    things: dict[object, str | None] = {}
    for category in map(as_object, as_list(content.get("categories"))):
        is_thing = category.get("isthing", 1) in (1, True)
        things[str(category.get("id"))] = (usable_text(category.get("name")) or None) if is_thing else None
    return things


def _read_image(root: Path, image: _PanopticImage) -> ImageLabels:
    labels = ImageLabels(image.name, image.split, size_of(image.entry.get("height"), image.entry.get("width")))
    try:
        with taking_turns(labels.image_size):
            rles = rles_of_values(_ids_of(image.mask))
    except InstsegError as error:
        labels.leave_out("mask_invalid", str(error))
        return labels
    size = next(((rle["size"][0], rle["size"][1]) for rle in rles.values()), labels.image_size)
    labels.image_size = labels.image_size or size
    if size != labels.image_size:
        labels.leave_out("mask_invalid", f"{image.mask}: is of size {size}, its image of {labels.image_size}")
        return labels
    for segment in map(as_object, image.segments):
        number, category = segment.get("id"), image.things.get(str(segment.get("category_id")), "")
        where = f"{image.name}: segment {number}"
        if category == "":
            labels.report("category_unknown", where)
        elif category is not None and type(number) is int and number in rles:
            labels.add(category, rles[number], iscrowd=segment.get("iscrowd") in (1, True))
        elif category is not None:
            labels.report("shape_degenerate", where)
    return labels


def _ids_of(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Decode a PNG: the id of a pixel is red + 256 green + 65,536 blue."""
    try:
        with PilImage.open(path) as image:
            check_pixels(*image.size)
            with room_for(*image.size):
                pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    except FileNotFoundError as error:
        raise InstsegError(f"{path}: no such file") from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise InstsegError(f"{path}: cannot be read as a mask: {error or type(error).__name__}") from error
    return np.asarray(pixels[..., 0] + (pixels[..., 1] << 8) + (pixels[..., 2] << 16))
