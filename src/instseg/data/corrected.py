"""Predictions that were corrected, read to join the labels that a network was trained on before."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import CocoImage
from instseg.data.reading.checked import checked_labels, read_labels
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import LabelRules
from instseg.data.reading.labels import Labels
from instseg.data.reading.readers import LabelReader
from instseg.data.splits.merge import merge_labels, named_source
from instseg.data.splits.near_duplicates import file_digests
from instseg.data.splits.select import select_images


def read_corrected(
    readers: Sequence[LabelReader], labels: Mapping[str, Labels], findings: Mapping[str, Findings], rules: LabelRules
) -> Labels | None:
    """Read all corrected labels; an image that has labels already is left out, whatever its folder is called.

    Of two corrected labels of one image, those that somebody changed are taken, else the first.

    Args:
        readers: of the corrected labels.
        labels: those that are there already, by split.
        findings: by split; those of these labels are train's.
        rules: how labels that may mean two things are read.

    Returns:
        The labels, None where there is no reader.

    Raises:
        InstsegError: no image is new.
    """
    if not readers:
        return None
    merged = merge_labels([part for reader in readers for part in _read(reader, rules, findings["train"])])
    earlier = {_real(part, image) for part in labels.values() for image in part.coco["images"]}
    copies = _copies([_real(merged, image) for image in merged.coco["images"]], earlier)
    taken, ids = {*earlier}, []
    for image in sorted(merged.coco["images"], key=lambda image: image.get("is_prediction", False)):
        path = _real(merged, image)
        if path in taken or path in copies:
            findings["train"].add("image_labelled_twice", image["file_name"])
        else:
            ids.append(image["id"])
        taken.add(path)
    if not ids:
        raise InstsegError(
            f"dataset.corrected: {plural(len(merged.coco['images']), 'image')}, all of which dataset.root labels "
            "already: correct their labels there"
        )
    _forget_unlabelled(findings, [part.image_root for part in labels.values()], taken)
    return Labels(select_images(merged.coco, ids), merged.image_root)


def _read(reader: LabelReader, rules: LabelRules, findings: Findings) -> list[Labels]:
    by_split: defaultdict[str, Findings] = defaultdict(lambda: findings)
    read = read_labels(reader, by_split, rules, are_corrected=True)
    return [
        Labels(named_source(checked_labels(part.coco, rules, findings), str(reader.root)), part.image_root)
        for part in read.values()
    ]


def _real(part: Labels, image: CocoImage) -> str:
    return os.path.realpath(part.image_root / image["file_name"])


def _copies(paths: Iterable[str], earlier: Iterable[str]) -> set[str]:
    """Return those of the paths that have the very bytes of an earlier image."""
    sizes = {path: size for path in paths if (size := _size(path)) >= 0}
    wanted = {*sizes.values()}
    candidates = [path for path in earlier if _size(path) in wanted]
    digests = {*file_digests([Path(path) for path in candidates])}
    alike = {_size(path) for path in candidates}
    some = [path for path, size in sizes.items() if size in alike]
    return {
        path
        for path, digest in zip(some, file_digests([Path(path) for path in some]), strict=True)
        if digest in digests
    }


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (Path costs 10 us a file)
    except (OSError, ValueError):
        return -1


def _forget_unlabelled(findings: Mapping[str, Findings], roots: Sequence[Path], labelled: set[str]) -> None:
    """Remove the images that are labelled now from those noted as unlabelled."""
    for found in findings.values():
        noted = found.names.pop("image_unlabelled", [])
        still = [name for name in noted if not any(os.path.realpath(root / name) in labelled for root in roots)]
        if still:
            found.names["image_unlabelled"] = still
