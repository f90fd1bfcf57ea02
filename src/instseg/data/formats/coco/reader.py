"""Reader of COCO folders; ``layout`` lists the layouts that are recognised."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, usable_text
from instseg.core.types import CocoDict
from instseg.data.formats.coco.annotations import checked_coco, read_coco
from instseg.data.formats.coco.layout import (
    AnnotatedFolder,
    find_annotation_files,
    find_image_root,
    looks_like_coco,
    not_found,
)
from instseg.data.formats.coco.names import is_misplaced, relocate
from instseg.data.formats.coco.predictions import mark_predictions
from instseg.data.reading.coco_text import read_coco_text
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import SPLIT_PATTERNS, split_of
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.option_values import given_path
from instseg.data.splits.merge import merge_labels


def recognise(root: Path) -> str | None:
    """Describe the annotation files, as in ``2 COCO json``; None when there are none."""
    try:
        files = find_annotation_files(root)
    except InstsegError:
        return None
    return f"{len(files)} COCO json" if all(map(looks_like_coco, files)) else None


@dataclass(frozen=True, slots=True)
class CocoReader:
    """Reader of COCO annotations.

    Attributes:
        root: a folder or one json.
        splits: ``{annotations, images}`` for each split, to override what is found.
    """

    FORMAT: ClassVar[str] = "coco"
    VERSION: ClassVar[int] = 2
    root: Path
    splits: Mapping[str, Mapping[str, str | None] | None] | None = None

    def label_files(self) -> list[Path]:
        """Return the annotation files."""
        return [folder.annotation_file for folders in self.find().values() for folder in folders]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the annotation files of every split."""
        return {split: self._joined(split, folders, findings[split]) for split, folders in self.find().items()}

    def _joined(self, split: str, folders: list[AnnotatedFolder], findings: Findings) -> Labels:
        """Read the files of one split as one.

        Raises:
            InstsegError: two of them list the same image.
        """
        parts = [load_coco(folder, findings) for folder in folders]
        labelled_by: dict[str, Path] = {}
        for folder, part in zip(folders, parts, strict=True):
            for path in {os.path.join(part.image_root, image["file_name"]) for image in part.coco["images"]}:  # noqa: PTH118
                if (other := labelled_by.setdefault(path, folder.annotation_file)) != folder.annotation_file:
                    raise self._undecided([other, folder.annotation_file], f"{Path(path).name} is in both")
        if len(parts) > 1:
            findings.add("files_joined", f"{len(parts)} json ({list_names(f.annotation_file.name for f in folders)})")
        return merge_labels(parts)

    def _undecided(self, files: Iterable[Path], why: str) -> InstsegError:
        return InstsegError(
            f"{self.root}: cannot tell which of these json is which split: {[self._shown(file) for file in files]}, "
            f"for {why}. Name them: dataset.splits.train.annotations=… dataset.splits.val.annotations=…"
        )

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self.root)) if file.is_relative_to(self.root) else str(file)

    def find(self) -> dict[str, list[AnnotatedFolder]]:
        """Return the annotation files of each split, or of ``all`` when the folder has no splits.

        Raises:
            InstsegError: no annotations are found, or which file is which split cannot be told.
        """
        named = {split: paths for split, paths in (self.splits or {}).items() if paths and any(paths.values())}
        if named:
            return {split: [self._given(split, paths)] for split, paths in named.items()}
        found: defaultdict[str, list[AnnotatedFolder]] = defaultdict(list)
        for file in find_annotation_files(self.root):
            split = split_of(file, self.root)
            found[split or UNSPLIT].append(AnnotatedFolder(file, split))
        if UNSPLIT in found and len(found) > 1:
            files = [folder.annotation_file for folders in found.values() for folder in folders]
            raise self._undecided(files, f"{self._shown(found[UNSPLIT][0].annotation_file)} names none")
        return dict(found)

    def _given(self, split: str, paths: Mapping[str, str | None]) -> AnnotatedFolder:
        if split not in SPLIT_PATTERNS:
            raise InstsegError(f"dataset.splits.{split}: the splits are {', '.join(SPLIT_PATTERNS)}")
        annotations, images = paths.get("annotations"), paths.get("images")
        if not annotations:
            raise InstsegError(f"dataset.splits.{split}.images needs dataset.splits.{split}.annotations beside it")
        file = given_path(f"splits.{split}.annotations", annotations, self.root, is_file=True)
        return AnnotatedFolder(file, split, given_path(f"splits.{split}.images", images, self.root) if images else None)


def load_coco(folder: AnnotatedFolder, findings: Findings) -> Labels:
    """Read one annotation file, with file names relative to the image root that is returned.

    Annotations may still be unparsed text: see ``coco_text``.

    Args:
        folder: the file, and what is known about its images.
        findings: gets what is left out or repaired.
    """
    file = folder.annotation_file
    text = read_coco_text(file)
    coco = read_coco(file, findings) if text is None else checked_coco(text, file, findings)
    mark_predictions(coco)
    image_root = folder.image_root or _declared_image_root(coco, file)
    if image_root is not None:
        return Labels(coco, image_root)
    home = file.parent.parent if file.parent.name == "annotations" else file.parent
    root = find_image_root(folder, [image["file_name"] for image in coco["images"]])
    found = relocate(coco["images"], root or home, home, folder.split, findings)
    if root is None and all(is_misplaced(found, image["file_name"]) for image in coco["images"]):
        raise not_found(folder, coco["images"][0]["file_name"])
    return Labels(coco, found)


def _declared_image_root(coco: CocoDict, annotation_file: Path) -> Path | None:
    """Return the image folder that ``predict.py`` declares for its predictions, or their own; None if none is declared.

    No other folder is tried: those nearby hold masks with the names of the images.
    """
    info, beside = coco.get("info"), annotation_file.parent
    declared = usable_text(info.get("image_folder")) if isinstance(info, dict) else ""
    if not declared:
        return None
    if os.path.isdir(beside / declared):  # noqa: PTH112  (raises for no name)
        return beside / declared
    if any((beside / image["file_name"]).is_file() for image in coco["images"]):
        return beside
    raise InstsegError(
        f"{annotation_file}: its images should be in {declared}: no such folder. Set info.image_folder "
        "of the json, or move the json to the images"
    )
