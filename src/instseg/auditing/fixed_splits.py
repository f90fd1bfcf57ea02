"""Splits file in which no two splits hold the same image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from instseg.core.files import write_json
from instseg.data.splits.splits_file import UNUSED

SplitName = tuple[str, str]
"""Split and file name of an image, as in ``splits.json``."""


def write_fixed_splits(
    path: Path, splits: Mapping[str, Sequence[str]], order: Sequence[str], copies: Iterable[Sequence[SplitName]]
) -> Path | None:
    """Write a splits file without the images that a later split has too; they are listed as unused.

    Test stays as it is, and val but for images that are in test as well, so that metrics compare with those of others.

    Args:
        path: the file to write.
        splits: file names of the images of each split, and of those that are in none.
        order: names of the splits, the one that keeps a copy last.
        copies: groups of images with the same bytes.

    Returns:
        The path; None where there is nothing to leave out, or train or val would be left empty.
    """
    dropped = {one for group in copies for one in _earlier(group, order)}
    unused = sorted({*splits.get(UNUSED, []), *(name for _, name in dropped)})
    fixed = {split: [name for name in names if (split, name) not in dropped] for split, names in splits.items()}
    if not dropped or not fixed.get("train") or not fixed.get("val"):
        return None
    write_json(path, {**fixed, UNUSED: unused}, indent=1)
    return path


def _earlier(group: Sequence[SplitName], order: Sequence[str]) -> list[SplitName]:
    """Return those images of the group that are not in its last split."""
    last = max((split for split, _ in group), key=order.index)
    return [(split, name) for split, name in group if split != last]
