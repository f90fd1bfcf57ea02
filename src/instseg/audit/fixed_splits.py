"""Splits file in which no two splits hold the same image."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from instseg.audit.checks_images import ImageList
from instseg.core.files import write_json
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.splits.splits import UNUSED


def write_fixed_splits(
    path: Path, prepared: PreparedDataset, listed: ImageList, copies: Sequence[Sequence[int]]
) -> Path | None:
    """Write a splits file without the images that a later split has too; they are listed as unused.

    Test stays as it is, and val but for images that are in test as well, so that metrics compare with those of others.

    Args:
        path: the file to write.
        prepared: the dataset.
        listed: all its images.
        copies: groups of numbers of images with the same bytes.

    Returns:
        The path; None where there is nothing to leave out, or train or val would be left empty.
    """
    dropped = _earlier_copies(listed, copies)
    splits: dict[str, list[str]] = json.loads((prepared.folder / "splits.json").read_text())
    unused = sorted({*splits.get(UNUSED, []), *(name for _, name in dropped)})
    fixed = {split: [name for name in names if (split, name) not in dropped] for split, names in splits.items()}
    if not dropped or not fixed["train"] or not fixed["val"]:
        return None
    write_json(path, {**fixed, UNUSED: unused}, indent=1)
    return path


def _earlier_copies(listed: ImageList, copies: Sequence[Sequence[int]]) -> set[tuple[str, str]]:
    """Return split and name, as in ``splits.json``, of every image that has a copy in a later split."""
    root = common_root([table.index.image_root for table in listed.tables.values()])
    dropped = set()
    for group in copies:
        members = defaultdict(list)
        for n in group:
            members[listed.splits[n]].append(n)
        last = max(members, key=list(listed.tables).index)
        for split, numbers in members.items():
            if split != last:
                index = listed.tables[split].index
                prefix = prefix_from(root, index.image_root)
                dropped |= {(split, prefix + index.file_name(listed.positions[n])) for n in numbers}
    return dropped
