"""Reader of COCO folders; ``layout`` lists the layouts that are recognised."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.files import clean_file_name
from instseg.core.text import usable_text
from instseg.core.types import CocoDict
from instseg.data.formats.coco.annotations import checked_coco, read_coco
from instseg.data.formats.coco.layout import AnnotatedFolder, find_annotation_files, find_image_root, looks_like_coco
from instseg.data.formats.coco.predictions import mark_predictions
from instseg.data.reading.coco_text import read_coco_text
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import SPLIT_PATTERNS, split_of
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.reading.option_values import given_path


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
        return [folder.annotation_file for folder in self.find().values()]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read the annotation file of every split."""
        return {split: load_coco(folder) for split, folder in self.find().items()}

    def find(self) -> dict[str, AnnotatedFolder]:
        """Return the annotation file of each split, or of ``all`` when the folder has no splits.

        Raises:
            InstsegError: no annotations are found, or which file is which split cannot be told.
        """
        named = {split: paths for split, paths in (self.splits or {}).items() if paths and any(paths.values())}
        if named:
            return {split: self._given(split, paths) for split, paths in named.items()}
        files = find_annotation_files(self.root)
        if len(files) == 1:
            split = split_of(files[0], self.root)
            return {split or UNSPLIT: AnnotatedFolder(files[0], split)}
        found: dict[str, AnnotatedFolder] = {}
        for file in files:
            split = split_of(file, self.root)
            if split is None or split in found:
                names = [str(f.relative_to(self.root)) for f in files]
                raise InstsegError(
                    f"{self.root}: cannot tell which of these json is which split: {names}. Name them: "
                    "dataset.splits.train.annotations=… dataset.splits.val.annotations=…"
                )
            found[split] = AnnotatedFolder(file, split)
        return found

    def _given(self, split: str, paths: Mapping[str, str | None]) -> AnnotatedFolder:
        if split not in SPLIT_PATTERNS:
            raise InstsegError(f"dataset.splits.{split}: the splits are {', '.join(SPLIT_PATTERNS)}")
        annotations, images = paths.get("annotations"), paths.get("images")
        if not annotations:
            raise InstsegError(f"dataset.splits.{split}.images needs dataset.splits.{split}.annotations beside it")
        file = given_path(f"splits.{split}.annotations", annotations, self.root, is_file=True)
        return AnnotatedFolder(file, split, given_path(f"splits.{split}.images", images, self.root) if images else None)


def load_coco(folder: AnnotatedFolder) -> Labels:
    """Read one annotation file, with clean file names relative to the image root that is returned.

    Annotations may still be unparsed text: see ``coco_text``.
    """
    text = read_coco_text(folder.annotation_file)
    coco = read_coco(folder.annotation_file) if text is None else checked_coco(text, folder.annotation_file)
    for image in coco["images"]:
        image["file_name"] = clean_file_name(image["file_name"], folder.annotation_file)
    mark_predictions(coco)
    image_root = folder.image_root or _declared_image_root(coco, folder.annotation_file)
    return Labels(coco, image_root or find_image_root(folder, [image["file_name"] for image in coco["images"]]))


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
