"""The file ``splits.json``, which says which image goes into which split: written by every run, read to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from instseg.core.errors import InstsegError
from instseg.core.records import Record, convert_record, read_record
from instseg.core.text import list_names, plural
from instseg.core.types import CocoDict
from instseg.data.reading.labels import SPLITS
from instseg.data.reading.option_values import given_path
from instseg.data.splits.select import select_images

UNUSED = "unused"
"""The list of images that belong to no split on purpose."""
REMEDY = f"a splits file has lists of file names as {', '.join((*SPLITS, UNUSED))}"


class SplitsFile(Record, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """File names by split, as paths from the folder that all images have in common.

    They are only compared with those of the labels: nothing is opened that a name leads to.
    """

    train: list[str] | None = None
    val: list[str] | None = None
    test: list[str] | None = None
    unused: list[str] | None = None

    @property
    def lists(self) -> dict[str, list[str]]:
        """The lists that the file has, by their names."""
        found = {"train": self.train, "val": self.val, "test": self.test, UNUSED: self.unused}
        return {name: names for name, names in found.items() if names is not None}


def write_splits_file(path: Path, lists: Mapping[str, list[str]]) -> None:
    """Write which image goes into which split, a line for each, so that a search shows where one stands.

    Args:
        path: the file.
        lists: names of splits, and maybe ``UNUSED`` -> file names.
    """
    record = convert_record({**lists}, SplitsFile, str(path), REMEDY)
    path.write_text(json.dumps(msgspec.to_builtins(record), indent=1))


def read_splits_file(path: Path, remedy: str = REMEDY) -> SplitsFile:
    """Read which image goes into which split.

    Args:
        path: the file.
        remedy: what the user can do where the file is of no use, as the end of the message.

    Raises:
        RecordError: the file is missing, damaged, or lists something else.
    """
    return read_record(path, SplitsFile, remedy)


def listed_names(path: str | Path) -> set[str]:
    """Return the file names in all lists of a splits file."""
    listed = read_splits_file(given_path("splits_file", str(path), is_file=True)).lists
    return {name for names in listed.values() for name in names}


def apply_splits_file(coco: CocoDict, path: str | Path) -> tuple[dict[str, CocoDict], list[str]]:
    """Divide labels as a splits file says, which an earlier run left or a person wrote.

    Images that it lists as ``unused`` are left out. Without a list ``train`` all images that it does not list are
    train: so new images can join without touching val and test.

    Args:
        coco: the labels.
        path: the splits file.

    Returns:
        The labels of each split, and notes for the user.

    Raises:
        InstsegError: it is no such file, it has a list ``train`` and does not list every image, or train or val
            would be empty.
    """
    listed = read_splits_file(given_path("splits_file", str(path), is_file=True)).lists
    split_of = _split_of(listed, path)
    names = [image["file_name"] for image in coco["images"]]
    unlisted = [name for name in names if name not in split_of]
    _check_all_listed(unlisted, listed, path)
    ids: dict[str, list[int]] = {split: [] for split in (*SPLITS, UNUSED)}
    for image in coco["images"]:
        ids[split_of.get(image["file_name"], "train")].append(image["id"])
    for split in ("train", "val"):
        if not ids[split]:
            raise InstsegError(
                f"dataset.splits_file={path}: of {plural(len(names), 'image')} in the labels, none is in {split}"
            )
    notes = _notes(len(ids[UNUSED]), len(unlisted), split_of.keys() - set(names))
    return {split: select_images(coco, ids[split]) for split in SPLITS if ids[split]}, notes


def _split_of(listed: Mapping[str, list[str]], path: str | Path) -> dict[str, str]:
    """Return file name -> split; InstsegError for a name in two lists."""
    split_of: dict[str, str] = {}
    for split, names in listed.items():
        for name in names:
            if split_of.setdefault(name, split) != split:
                raise InstsegError(f"dataset.splits_file={path}: {name} is listed as {split_of[name]} and as {split}")
    return split_of


def _check_all_listed(unlisted: list[str], listed: Mapping[str, list[str]], path: str | Path) -> None:
    if unlisted and "train" in listed:
        raise InstsegError(
            f"dataset.splits_file={path}: it does not list {plural(len(unlisted), 'image')} of the labels: "
            f"{list_names(unlisted, 3)}. Add them to a list of it ({UNUSED!r} leaves them out), or delete its list "
            "'train': they are train then"
        )


def _notes(num_unused: int, num_unlisted: int, gone: Iterable[str]) -> list[str]:
    lost = sorted(gone)
    notes = [f"Listed as {UNUSED} and left out: {plural(num_unused, 'image')}."] if num_unused else []
    notes += [f"Not listed, and so in train: {plural(num_unlisted, 'image')}."] if num_unlisted else []
    notes += [f"Listed, but not in the labels: {plural(len(lost), 'image')} ({list_names(lost, 3)})."] if lost else []
    return notes
