"""The options of a selection, and the division by ratio and by folds, from COCO dictionaries to COCO dictionaries.

Every choice is seeded and depends on file names, not on the order in the json, so it is the same tomorrow and
on another machine, and stays nearly the same when a few images are added.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from instseg.core.errors import InstsegError
from instseg.core.types import CocoDict
from instseg.data.reading.option_values import given_path, typed
from instseg.data.splits.select import seeded_order, select_images
from instseg.data.splits.stratify import divide

SPLITS = ("train", "val", "test")
SPLIT_RATIO = {"train": 0.7, "val": 0.15, "test": 0.15}
MAX_FOLDS = 1000
SIMILAR = "similar"
"""The value of ``dataset.group_by`` that keeps near-duplicate images together; any other is a pattern."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Options that select from the labels. ``None`` means everything; conf/dataset/auto.yaml explains each.

    ``drop`` and ``rename`` speak of the names in the labels, ``categories`` of the names that result.

    Args:
        categories: those to keep.
        max_images: split -> number of images to keep.
        empty_ratio: images without instances to keep, for each image with some.
        split_ratio: split -> fraction of the images, where the labels have no splits.
        seed: of everything random.
        rename: old -> new category name.
        drop: categories to leave out.
        group_by: ``similar``, or a regular expression whose groups of images are never divided.
        folds: number of folds for cross-validation.
        fold: the fold to validate on, from 0.
        splits_file: file that lists the images of each split.

    Raises:
        InstsegError: a value is impossible.
    """

    categories: tuple[str, ...] | None = None
    max_images: Mapping[str, int | None] | None = None
    empty_ratio: float | None = None
    split_ratio: Mapping[str, float | None] | None = None
    seed: int = 0
    rename: Mapping[str, str] | None = None
    drop: tuple[str, ...] | None = None
    group_by: str | None = SIMILAR
    folds: int | None = None
    fold: int = 0
    splits_file: str | None = None

    def __post_init__(self) -> None:
        for option, hint in get_type_hints(Selection).items():
            object.__setattr__(self, option, typed(option, getattr(self, option), hint))
        for option in ("max_images", "split_ratio"):
            for split in getattr(self, option) or ():
                if split not in SPLITS:
                    raise InstsegError(f"dataset.{option}.{split}: the splits are {', '.join(SPLITS)}")
        for split, limit in (self.max_images or {}).items():
            if limit is not None and limit < 1:
                raise InstsegError(f"dataset.max_images.{split}={limit}: expected 1 or more, or null for all")
        if self.empty_ratio is not None and self.empty_ratio < 0:
            raise InstsegError(f"dataset.empty_ratio={self.empty_ratio}: expected 0 or more, or null for all")
        for split, ratio in (self.split_ratio or {}).items():
            if ratio is not None and ratio < 0:
                raise InstsegError(f"dataset.split_ratio.{split}={ratio}: expected 0 or more; 0 makes no such split")
        self._check_names()
        self._check_division()

    def _check_names(self) -> None:
        for name, new_name in (self.rename or {}).items():
            if not new_name:
                raise InstsegError(f"dataset.rename.{name}: expected a name; dataset.drop=[{name}] leaves {name} out")
            if name in (self.drop or ()):
                raise InstsegError(f"category {name!r} is in dataset.rename and in dataset.drop: it can be in one")

    def _check_division(self) -> None:
        if self.group_by is not None and self.group_by != SIMILAR:
            _compiled(self.group_by)
        if self.folds is not None:
            _check_folds(self.folds, self.fold)
        elif self.fold:
            raise InstsegError(f"dataset.fold={self.fold} needs dataset.folds, the number of parts: expected 2 or more")
        if self.folds is not None and self.splits_file is not None:
            raise InstsegError("dataset.folds and dataset.splits_file both say how to split: set one of them to null")

    def files(self) -> tuple[Path, ...]:
        """Return the files that the split depends on besides the labels.

        Raises:
            InstsegError: one does not exist.
        """
        return (given_path("splits_file", self.splits_file, is_file=True),) if self.splits_file else ()

    def ratios(self, splits: Iterable[str]) -> dict[str, float]:
        """Return the fraction of each of these splits, leaving out those without one.

        Raises:
            InstsegError: the fraction of train or val is 0.
        """
        given = self.split_ratio or SPLIT_RATIO
        ratios = {split: given.get(split) or 0.0 for split in splits}
        for split in ("train", "val"):
            if ratios.get(split) == 0:
                raise InstsegError(f"dataset.split_ratio.{split} must be more than 0: the labels have no such split")
        return {split: ratio for split, ratio in ratios.items() if ratio}


def split_images(
    coco: CocoDict, ratios: Mapping[str, float], seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, CocoDict]:
    """Divide into named parts by their ratios, alike in categories: see ``stratify.divide``.

    A crowd does not count as an instance.

    Args:
        coco: the labels.
        ratios: part -> its size on any scale, above 0.
        seed: of the division.
        groups: file name -> group, which is not divided; an image that is not in it stands alone.

    Raises:
        InstsegError: there are fewer groups than parts.
    """
    images, names = coco["images"], {category["id"]: str(category["name"]) for category in coco["categories"]}
    shows: defaultdict[int, set[str]] = defaultdict(set)
    for annotation in coco["annotations"]:
        if not annotation.get("iscrowd"):
            shows[annotation["image_id"]].add(names[annotation["category_id"]])
    ranks = {image["id"]: rank for rank, image in enumerate(seeded_order(images, seed))}
    parts = divide(
        [shows[image["id"]] for image in images],
        ratios,
        [_group_of(image["file_name"], groups or {}) for image in images],
        [ranks[image["id"]] for image in images],
    )
    ids: dict[str, list[int]] = {name: [] for name in ratios}
    for image, part in zip(images, parts, strict=True):
        ids[part].append(image["id"])
    return {name: select_images(coco, part) for name, part in ids.items()}


def _group_of(file_name: str, groups: Mapping[str, str]) -> tuple[bool, str]:
    return (True, groups[file_name]) if file_name in groups else (False, file_name)


def fold_images(
    coco: CocoDict, folds: int, fold: int, seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, CocoDict]:
    """Take one of several parts of about equal size as ``val``, all others as ``train``: each image is once in ``val``.

    Args:
        coco: the labels.
        folds: number of parts.
        fold: the part that is ``val``, from 0.
        seed: of the division.
        groups: as in ``split_images``.

    Raises:
        InstsegError: as ``split_images``; fewer than two folds, or a fold that is not among them.
    """
    _check_folds(folds, fold)
    parts = split_images(coco, {f"fold {i}": 1.0 for i in range(folds)}, seed, groups)
    val = parts[f"fold {fold}"]
    in_val = {image["id"] for image in val["images"]}
    return {"train": select_images(coco, [i["id"] for i in coco["images"] if i["id"] not in in_val]), "val": val}


def _check_folds(folds: int, fold: int) -> None:
    if not 2 <= folds <= MAX_FOLDS:
        raise InstsegError(f"dataset.folds={folds}: expected 2 or more, up to {MAX_FOLDS}, or null for none")
    if not 0 <= fold < folds:
        raise InstsegError(f"dataset.fold={fold}: expected 0 to {folds - 1}, as dataset.folds={folds}")


def group_names(file_names: Iterable[str], pattern: str) -> dict[str, str]:
    r"""Return file name -> group, for the names in which the pattern is found.

    The group is what the parentheses of the pattern enclose, all of them together, or without any the whole match:
    ``(.*)_\d+`` keeps the frames of a video together, ``^[^/]+`` the files of a folder.

    Args:
        file_names: of all images.
        pattern: a regular expression.

    Raises:
        InstsegError: it is no regular expression.
    """
    compiled = _compiled(pattern)
    found = ((name, compiled.search(name)) for name in file_names)
    return {name: "\0".join(part or "" for part in match.groups() or (match[0],)) for name, match in found if match}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InstsegError(
            f"dataset.group_by={pattern}: no regular expression ({error}); expected one such as '(.*)_[0-9]+', "
            f"{SIMILAR} to keep near-duplicate images together, or null"
        ) from error
