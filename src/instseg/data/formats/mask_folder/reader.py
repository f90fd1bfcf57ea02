"""Photos with mask pictures: one mask for each photo, or one for each instance.

Which mask belongs to which photo, and what its name says: see ``mask_pairing``. What its pixels say:

- several values (or colours): each is an instance. In an indexed picture 255, where it is not the only value and 254
  is not used, is VOC's border and no instance
- one value: where photos have several masks of a category, each is an instance; otherwise each connected region is
  one, if the mask is black and white, or if no mask of the folder has more than this value
- with ``names`` the values are categories, and each connected region is an instance
- with ``masks.json`` (from ``predict.py … save=[masks]``) it says what each value is
- nothing at all: there is nothing on the photo. A photo without mask is left out
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.core.text import shown
from instseg.data.formats.image_labels import check_has_instances, labels_of, read_in_threads, report_unlabelled
from instseg.data.formats.mask_folder.mask_json import find_mask_json, looks_like_mask_json, read_mask_json
from instseg.data.formats.mask_folder.masked_image import MaskedPhoto, MaskRules, have_one_value, read_masked_photo
from instseg.data.formats.mask_folder.pairing import (
    MaskFile,
    Pairing,
    compiled,
    divide_files,
    is_mask_folder,
    pair_by_pattern,
)
from instseg.data.formats.mask_values import value_named
from instseg.data.formats.openimages import reader as openimages
from instseg.data.formats.voc import reader as voc
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_all_split, check_folder, image_names, sample_files, split_of_folders
from instseg.data.reading.images import IMAGE_EXTENSIONS
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.options import given_path


def recognise(root: Path) -> str | None:
    """A phrase when there are photos and, under names that fit them, masks; not for VOC or Open Images."""
    if voc.recognise(root) or openimages.recognise(root):
        return None
    files = {file.relative_to(root).as_posix(): file.suffix.lower() for file in sample_files(root)}
    listed = [name for name in files if PurePosixPath(name).name == "masks.json" and name.count("/") < 2]
    if listed and looks_like_mask_json(root / listed[0]):
        return f"masks listed in {listed[0]}"
    photos, masks = divide_files([name for name, suffix in files.items() if suffix in IMAGE_EXTENSIONS])
    if any(suffix in (".json", ".xml") and is_mask_folder(name.rpartition("/")[0]) for name, suffix in files.items()):
        return None
    pairing = Pairing(photos)
    paired = next((mask for mask in masks if pairing.pair(mask)), None)
    return f"photos with masks in {PurePosixPath(paired).parent}/" if paired else None


@dataclass(frozen=True, slots=True)
class MaskFolderReader:
    """Folders named train, val and test are splits.

    ``category``: the name of all instances whose category nothing else tells. ``names``: ``{value: category}``, where
    the values are categories; a colour is written ``'#rrggbb'``; a value without a category is passed over.
    ``components``: false where a mask is one instance, however many pieces it has. ``pattern``: a regular expression
    for the paths of the masks, from the root, with the groups ``stem`` (of the photo), ``category`` (optional) and
    ``instance`` (optional: each file is one instance). ``image_folder``: the photos, where they are not below the root
    (from there, or absolute).
    """

    root: Path
    category: str = "object"
    names: Mapping[int | str, str | None] | None = None
    components: bool = True
    pattern: str | None = None
    image_folder: str | None = None

    def label_files(self) -> Iterable[Path]:
        """Also the folders of the photos: a new photo, which a mask may belong to, changes its folder's time."""
        check_folder(self.root)
        listed = find_mask_json(self.root)
        if listed is not None:
            masks = (entry.mask for entry in read_mask_json(listed).masks)
            return [listed, *(mask for mask in masks if os.path.isfile(mask))]  # noqa: PTH113  (raises for no name)
        found = self._find_files()
        folders = {found.image_root / PurePosixPath(photo).parent for photo in found.photos}
        return [*(self.root / mask for mask in found.masks), *folders]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        check_folder(self.root)
        listed = find_mask_json(self.root)
        if listed is None:
            image_root, photos, one_per_file = self._pair(findings)
        else:
            image_root, photos, one_per_file = *self._listed(listed), False
        unsplit = [photo.name for photo in photos if photo.split == UNSPLIT]
        check_all_split(unsplit, {photo.split for photo in photos} - {UNSPLIT}, image_root)
        masks = [mask for photo in photos for mask, _ in photo.masks]
        rules = MaskRules(
            str(self.category), self._named_values(), self.components, one_per_file, have_one_value(masks)
        )
        builders = read_in_threads(partial(read_masked_photo, image_root, rules), photos, findings)
        check_has_instances(builders, findings, f"{self.root}: masks of {len(photos)} photos")
        return labels_of(builders, image_root)

    def _named_values(self) -> dict[int, str | None] | None:
        if self.names is None:
            return None
        try:
            return {value_named(value): None if name is None else str(name) for value, name in self.names.items()}
        except InstsegError as error:
            raise InstsegError(f"dataset.names: {error}") from error

    def _listed(self, path: Path) -> tuple[Path, list[MaskedPhoto]]:
        """The photos of a masks.json and where they are."""
        listed = read_mask_json(path)
        image_root = self._image_folder() or listed.image_folder
        if not os.path.isdir(image_root):  # noqa: PTH112  (raises for no name)
            raise InstsegError(f"{path}: there is no image_folder {image_root}; dataset.image_folder=DIR names another")
        image_root = image_root.resolve()
        photos = [
            MaskedPhoto(m.photo, _split(image_root, m.photo), [(m.mask, None)], m.categories) for m in listed.masks
        ]
        return image_root, photos

    def _pair(self, findings: Mapping[str, Findings]) -> tuple[Path, list[MaskedPhoto], bool]:
        """The photos with masks, where they are, and whether each mask is one instance."""
        files = self._find_files()
        pairs, alone = self._pairs(files)
        for mask in alone:
            findings[UNSPLIT].add("mask_unmatched", f"{mask}: no photo goes with it")
        masks: defaultdict[str, list[MaskFile]] = defaultdict(list)
        for pair in pairs:
            masks[pair.photo].append(pair)
        report_unlabelled((photo for photo in files.photos if photo not in masks), files.image_root, findings)
        photos = [self._masked(files.image_root, photo, masks[photo]) for photo in sorted(masks)]
        says_instance = self.pattern is not None and "instance" in compiled(self.pattern).groupindex
        most = max(Counter((pair.photo, pair.category) for pair in pairs).values())
        return files.image_root, photos, says_instance or most > 1

    def _pairs(self, files: _Files) -> tuple[list[MaskFile], list[str]]:
        """The masks that belong to a photo, one at least, and the others."""
        if self.pattern is not None:
            pairs, alone = pair_by_pattern(files.masks, files.photos, compiled(self.pattern))
        else:
            pairing = Pairing(files.photos)
            found = {mask: pairing.pair(mask) for mask in files.masks}
            pairs = [pair for pair in found.values() if pair is not None]
            alone = [mask for mask, pair in found.items() if pair is None]
        if not pairs:
            raise InstsegError(
                f"{self.root}: no mask belongs to a photo; masks: {shown(alone, 3)}; photos: {shown(files.photos, 3)}. "
                "Masks are named after photos (a.jpg: a.png, a_1.png, a/1.png); dataset.pattern says how other names go"
            )
        return pairs, alone

    def _masked(self, image_root: Path, photo: str, masks: list[MaskFile]) -> MaskedPhoto:
        split = _split(image_root, photo, *(split_of_folders(self.root / mask.name, self.root) for mask in masks))
        return MaskedPhoto(photo, split, [(self.root / mask.name, mask.category) for mask in masks])

    def _find_files(self) -> _Files:
        names = image_names(self.root)
        photos, masks = divide_files(names)
        image_root = self._image_folder()
        if image_root is not None:
            photos = image_names(image_root)
            below = {image_root / photo for photo in photos}
            masks = masks or [name for name in names if self.root.resolve() / name not in below]
        if self.pattern is not None:
            masks = list(filter(compiled(self.pattern).fullmatch, names))
            photos = photos if image_root is not None else sorted(set(photos) - set(masks))
        if not photos or not masks:
            raise InstsegError(
                f"{self.root}: expected photos, and masks in a folder called masks (or labels, annotations, …); found "
                f"{len(photos)} photos and {len(masks)} masks among {shown(names)}. If the photos are elsewhere: "
                "dataset.image_folder=DIR; if masks have other places or names: dataset.pattern"
            )
        return _Files(image_root or self.root, photos, masks)

    def _image_folder(self) -> Path | None:
        if self.image_folder is None:
            return None
        return given_path("image_folder", self.image_folder, self.root).resolve()


@dataclass(frozen=True, slots=True)
class _Files:
    image_root: Path
    photos: list[str]  # from image_root
    masks: list[str]  # from the root of the reader


def _split(image_root: Path, photo: str, *more: str | None) -> str:
    """By the folders of the photo, else by those of its masks."""
    return next(filter(None, (split_of_folders(image_root / photo, image_root), *more)), UNSPLIT)
