"""Image files beside the labelled ones that no label names: left out, and counted like everything that is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from instseg.data.reading.findings import Findings
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.labels import Labels


def note_unlabelled(
    labels: Mapping[str, Labels], label_files: Iterable[Path], findings: Mapping[str, Findings]
) -> None:
    """Add the image files beside the listed ones that no label mentions, unless the reader named such files itself.

    Other folders are not searched: masks, crops and the images of other datasets may lie there.

    Args:
        labels: split -> its labels.
        label_files: files that are no source images.
        findings: split -> where they are noted.
    """
    if any("image_unlabelled" in found.names for found in findings.values()):
        return
    known = {os.path.abspath(file) for file in label_files}  # noqa: PTH100  (Path costs 10 us a file)
    folders: dict[str, tuple[str, str]] = {}
    for split, part in labels.items():
        root = os.path.abspath(part.image_root)  # noqa: PTH100
        for image in part.coco["images"]:
            path = f"{root}/{image['file_name']}"
            known.add(path)
            folders.setdefault(os.path.dirname(path), (split, root))  # noqa: PTH120
    for folder, (split, root) in folders.items():
        for name in _image_files(folder):
            if f"{folder}/{name}" not in known:
                findings[split].add("image_unlabelled", os.path.relpath(f"{folder}/{name}", root))


def _image_files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:  # all of its images are missing, which is told elsewhere
        return []
    return [name for name in names if Path(name).suffix.lower() in IMAGE_EXTENSIONS and not name.startswith(".")]
