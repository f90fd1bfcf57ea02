"""A splits file in which no two splits hold the same photo."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from instseg.audit.checks_images import Photos
from instseg.core.files import write_json
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.splits.splits import UNUSED


def write_mended_splits(
    path: Path, prepared: PreparedDataset, photos: Photos, copies: Sequence[Sequence[int]]
) -> Path | None:
    """Write ``splits.json`` without the photos that a later split has too; None where that leaves no training photo.

    Val and test stay as they are, so that their metrics compare with those of others, but for photos of val that are
    in test as well. What is left out is listed as unused.

    Args:
        copies: groups of numbers of photos with the same bytes.
    """
    dropped = _earlier_copies(photos, copies)
    splits: dict[str, list[str]] = json.loads((prepared.folder / "splits.json").read_text())
    unused = sorted({*splits.get(UNUSED, []), *(name for _, name in dropped)})
    mended = {split: [name for name in names if (split, name) not in dropped] for split, names in splits.items()}
    if not dropped or not mended["train"] or not mended["val"]:
        return None
    write_json(path, {**mended, UNUSED: unused}, indent=1)
    return path


def _earlier_copies(photos: Photos, copies: Sequence[Sequence[int]]) -> set[tuple[str, str]]:
    """Split and name, as in ``splits.json``, of every photo that has a copy in a later split."""
    root = common_root([table.index.image_root for table in photos.tables.values()])
    dropped = set()
    for group in copies:
        members = defaultdict(list)
        for n in group:
            members[photos.splits[n]].append(n)
        last = max(members, key=list(photos.tables).index)
        for split, numbers in members.items():
            if split != last:
                index = photos.tables[split].index
                prefix = prefix_from(root, index.image_root)
                dropped |= {(split, prefix + index.file_name(photos.images[n])) for n in numbers}
    return dropped
