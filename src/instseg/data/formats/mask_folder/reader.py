"""Reader of images with mask images: one mask for each image, or one for each instance.

``pairing`` finds the image of each mask and the category in its name. Pixel values are read as follows:

- several values (or colours): each is an instance. In an indexed image 255 is VOC's border and not an instance, unless
  it is the only value or 254 is used
- one value: if an image has several masks of a category, each mask is an instance; otherwise each connected region is
  one, if the mask is black and white or all masks of the folder share this value
- with ``names``: values are categories, and each connected region is an instance
- with ``masks.json`` (from ``predict.py … save=[masks]``): the json gives the category of each value
- no value but 0: the image is empty. An image without a mask is left out
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.data.formats.image_labels import check_has_instances, labels_of, read_in_threads, report_unlabelled
from instseg.data.formats.mask_folder.evidence import evidence_of
from instseg.data.formats.mask_folder.mask_json import find_mask_json, looks_like_mask_json, read_mask_json
from instseg.data.formats.mask_folder.masked_image import MaskedImage, MaskRules, read_masked_image
from instseg.data.formats.mask_folder.pairing import (
    MaskFile,
    Pairing,
    compile_pattern,
    divide_files,
    pair_by_name,
    pair_by_pattern,
)
from instseg.data.formats.mask_values import value_named
from instseg.data.reading.findings import Findings
from instseg.data.reading.folder_words import is_mask_folder
from instseg.data.reading.folders import check_all_split, check_folder, image_names, sample_files, split_of_folders
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.option_values import given_path

UNNAMED = "object"


def recognise(root: Path) -> str | None:
    """Describe the masks if images have masks with matching names, as in VOC and Open Images too; None otherwise."""
    files = {file.relative_to(root).as_posix(): file.suffix.lower() for file in sample_files(root)}
    listed = [name for name in files if PurePosixPath(name).name == "masks.json" and name.count("/") < 2]
    if listed and looks_like_mask_json(root / listed[0]):
        return f"masks listed in {listed[0]}"
    images, masks = divide_files([name for name, suffix in files.items() if suffix in IMAGE_EXTENSIONS])
    if any(suffix in (".json", ".xml") and is_mask_folder(name.rpartition("/")[0]) for name, suffix in files.items()):
        return None
    pairing = Pairing(images)
    paired = next((mask for mask in masks if pairing.pair(mask)), None)
    return f"images with masks in {PurePosixPath(paired).parent}/" if paired else None


@dataclass(frozen=True, slots=True)
class MaskFolderReader:
    """Reader of mask images; folders named train, val and test are splits.

    Attributes:
        root: the folder of the masks, and of the images unless ``image_folder`` is set.
        category: the category of instances that have no other.
        names: ``{value: category}`` if values are categories; a colour is written ``'#rrggbb'``; a value without a
            category is skipped.
        components: false if a mask is one instance, however many regions it has.
        pattern: a regular expression for the paths of the masks from the root, with the groups ``stem`` (of the image),
            ``category`` (optional) and ``instance`` (optional: each file is one instance).
        image_folder: the folder of the images, from the root or absolute.
        background: the value, or colour, of the background: 255 for black objects on white.
        divisor: 1000 where values are category * 1000 + number of the instance; ``names`` then names the categories.
    """

    FORMAT: ClassVar[str] = "mask_folder"
    VERSION: ClassVar[int] = 4
    root: Path
    category: str = UNNAMED
    names: Mapping[int | str, str | None] | None = None
    components: bool = True
    pattern: str | None = None
    image_folder: str | None = None
    background: int | str = 0
    divisor: int | None = None

    def __post_init__(self) -> None:
        """Raise InstsegError for an impossible divisor."""
        if self.divisor is not None and self.divisor < 2:
            raise InstsegError(f"dataset.divisor={self.divisor}: expected 2 or more, such as 1000, or null")

    def label_files(self) -> Iterable[Path]:
        """Return the masks, and the folders of the images: a new image, which may have a mask, changes its folder."""
        check_folder(self.root)
        listed = find_mask_json(self.root)
        if listed is not None:
            masks = (entry.mask for entry in read_mask_json(listed).masks)
            return [listed, *(mask for mask in masks if os.path.isfile(mask))]  # noqa: PTH113  (never raises)
        found = self._find_files()
        folders = {found.image_root / PurePosixPath(image).parent for image in found.images}
        return [*(self.root / mask for mask in found.masks), *folders]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Pair the masks with images and read them.

        Raises:
            InstsegError: there are no masks with images, or none has an instance.
        """
        check_folder(self.root)
        listed = find_mask_json(self.root)
        if listed is None:
            image_root, images, one_per_file = self._pair(findings)
        else:
            image_root, images, one_per_file = *self._listed(listed), False
        unsplit = [image.name for image in images if image.split == UNSPLIT]
        check_all_split(unsplit, {image.split for image in images} - {UNSPLIT}, image_root)
        rules = self._rules(images, one_per_file, findings)
        builders = read_in_threads(partial(read_masked_image, image_root, rules), images, findings)
        check_has_instances(builders, findings, f"{self.root}: masks of {plural(len(images), 'image')}")
        if self.category == UNNAMED and any(UNNAMED in builder.names for builder in builders.values()):
            findings[next(iter(builders))].add(
                "category_unnamed", f"{UNNAMED} (dataset=mask_folder dataset.category=NAME)"
            )
        return labels_of(builders, image_root)

    def _rules(self, images: list[MaskedImage], one_per_file: bool, findings: Mapping[str, Findings]) -> MaskRules:
        """Return the meaning of the values, noting what is probably another one than the options say."""
        background = self._background()
        evidence = evidence_of([mask for image in images for mask, _ in image.masks], background)
        says_values = self.names is not None or self.divisor is not None or any(image.values for image in images)
        for kind, detail in evidence.findings:
            if kind == "mask_background" or not (says_values or one_per_file):
                findings[images[0].split].add(kind, f"{images[0].name} ({detail})")
        names = self._named_values()
        return MaskRules(
            str(self.category), names, self.components, one_per_file, evidence.one_value, background, self.divisor
        )

    def _background(self) -> int:
        try:
            return value_named(self.background)
        except InstsegError as error:
            raise InstsegError(f"dataset.background: {error}") from error

    def _named_values(self) -> dict[int, str | None] | None:
        if self.names is None:
            return None
        try:
            return {value_named(value): None if name is None else str(name) for value, name in self.names.items()}
        except InstsegError as error:
            raise InstsegError(f"dataset.names: {error}") from error

    def _listed(self, path: Path) -> tuple[Path, list[MaskedImage]]:
        """Return the folder of the images of a masks.json, and the images."""
        listed = read_mask_json(path)
        image_root = self._image_folder() or listed.image_folder
        if not os.path.isdir(image_root):  # noqa: PTH112  (never raises)
            raise InstsegError(
                f"{path}: no such image_folder: {image_root}; dataset=mask_folder dataset.image_folder=DIR overrides it"
            )
        image_root = image_root.resolve()
        images = [
            MaskedImage(m.image, _split(image_root, m.image), [(m.mask, None)], m.categories) for m in listed.masks
        ]
        return image_root, images

    def _pair(self, findings: Mapping[str, Findings]) -> tuple[Path, list[MaskedImage], bool]:
        """Return the folder of the images, those with masks, and whether each mask is one instance."""
        files = self._find_files()
        pairs, alone = self._pairs(files)
        for mask in alone:
            findings[UNSPLIT].add("mask_unmatched", f"{mask}: no image matches it")
        masks: defaultdict[str, list[MaskFile]] = defaultdict(list)
        for pair in pairs:
            masks[pair.image].append(pair)
        report_unlabelled((image for image in files.images if image not in masks), files.image_root, findings)
        images = [self._masked(files.image_root, image, masks[image]) for image in sorted(masks)]
        says_instance = self.pattern is not None and "instance" in compile_pattern(self.pattern).groupindex
        most = max(Counter((pair.image, pair.category) for pair in pairs).values())
        return files.image_root, images, says_instance or most > 1

    def _pairs(self, files: _Files) -> tuple[list[MaskFile], list[str]]:
        """Return the masks that belong to an image, at least one, and the others."""
        if self.pattern is not None:
            pairs, alone = pair_by_pattern(files.masks, files.images, compile_pattern(self.pattern))
        else:
            pairs, alone = pair_by_name(files.masks, files.images)
        if not pairs:
            raise InstsegError(
                f"{self.root}: no mask belongs to an image; masks: {list_names(alone, 3)}; "
                f"images: {list_names(files.images, 3)}. Masks are named after "
                "images (a.jpg: a.png, a_1.png, a/1.png); dataset.pattern describes other names"
            )
        return pairs, alone

    def _masked(self, image_root: Path, image: str, masks: list[MaskFile]) -> MaskedImage:
        split = _split(image_root, image, *(split_of_folders(self.root / mask.name, self.root) for mask in masks))
        return MaskedImage(image, split, [(self.root / mask.name, mask.category) for mask in masks])

    def _find_files(self) -> _Files:
        names = image_names(self.root)
        images, masks = divide_files(names)
        image_root = self._image_folder()
        if image_root is not None:
            images = image_names(image_root)
            below = {image_root / image for image in images}
            masks = masks or [name for name in names if self.root.resolve() / name not in below]
        if self.pattern is not None:
            masks = list(filter(compile_pattern(self.pattern).fullmatch, names))
            images = images if image_root is not None else sorted(set(images) - set(masks))
        if not images or not masks:
            raise InstsegError(
                f"{self.root}: expected images, and masks in a folder called masks (or labels, annotations, …); found "
                f"{plural(len(images), 'image')} and {plural(len(masks), 'mask')} among "
                f"{list_names(names)}. If the images are elsewhere: "
                "dataset=mask_folder dataset.image_folder=DIR; if masks have other folders or names: "
                "dataset=mask_folder dataset.pattern=REGEX, such as 'dataset.pattern=\"masks/(?P<stem>.*)\\.png\"'"
            )
        return _Files(image_root or self.root, images, masks)

    def _image_folder(self) -> Path | None:
        if self.image_folder is None:
            return None
        return given_path("image_folder", self.image_folder, self.root).resolve()


@dataclass(frozen=True, slots=True)
class _Files:
    image_root: Path
    images: list[str]  # from image_root
    masks: list[str]  # from the root of the reader


def _split(image_root: Path, image: str, *more: str | None) -> str:
    """Return the split of an image by its folders, else by those of its masks."""
    return next(filter(None, (split_of_folders(image_root / image, image_root), *more)), UNSPLIT)
