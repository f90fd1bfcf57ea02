"""The options that all datasets share: which categories and images are used, and how they are divided into splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from instseg.core.errors import InstsegError
from instseg.data.reading.labels import SPLITS
from instseg.data.reading.option_values import given_path, typed
from instseg.data.splits.name_groups import SIMILAR, compile_pattern
from instseg.data.splits.ratio_and_folds import check_folds

PREDICTIONS = ("train", "any", "leave_out")
SPLIT_RATIO = {"train": 0.7, "val": 0.15, "test": 0.15}


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
        predictions: place of labels that nobody has changed since predict.py wrote them: ``train``, which is never val
            or test, ``any`` split, or ``leave_out``.

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
    predictions: str = "train"

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
        if self.predictions not in PREDICTIONS:
            raise InstsegError(f"dataset.predictions={self.predictions}: expected one of {', '.join(PREDICTIONS)}")
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
            compile_pattern(self.group_by)
        if self.folds is not None:
            check_folds(self.folds, self.fold)
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
