"""The folder of a selection from Open Images: named as the official archives unpack, so that other tools read it.

The tables lie in ``annotations`` once everything that they name is there. Before, they lie in a hidden folder, so that
no reader takes the selection for whole, and have all rows of the classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instseg.data.builtin.openimages_selection import read_table

FINISHED, CANDIDATES = "annotations", ".candidates"
OFFICIAL = {"train": "train", "val": "validation", "test": "test"}  # split -> its name in Open Images
CLASSES = "v7/oidv7-class-descriptions-boxable.csv"
CLASSES_WITH_MASKS = "v7/oidv7-classes-segmentation.txt"
MASK_TABLES = {split: f"v5/{name}-annotations-object-segmentation.csv" for split, name in OFFICIAL.items()}
BOX_TABLES = {
    "train": "v6/oidv6-train-annotations-bbox.csv",
    "val": "v5/validation-annotations-bbox.csv",
    "test": "v5/test-annotations-bbox.csv",
}
MASK_COLUMNS, BOX_COLUMNS = ("MaskPath", "ImageID", "LabelName"), ("ImageID", "LabelName")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a selection lies; ``masks`` or else boxes."""

    folder: Path
    splits: tuple[str, ...]
    masks: bool

    @property
    def official_tables(self) -> dict[str, str]:
        """Split -> its table as a path on the server."""
        return {split: (MASK_TABLES if self.masks else BOX_TABLES)[split] for split in self.splits}

    @property
    def columns(self) -> tuple[str, ...]:
        return MASK_COLUMNS if self.masks else BOX_COLUMNS

    def tables(self, where: str) -> dict[str, Path]:
        """Split -> its table in the subfolder ``where``."""
        return {split: self.folder / where / PurePosixPath(path).name for split, path in self.official_tables.items()}

    def classes(self, where: str) -> Path:
        return self.folder / where / PurePosixPath(CLASSES).name

    def image(self, split: str, image_id: str) -> Path:
        return self.folder / "images" / OFFICIAL[split] / f"{image_id}.jpg"

    def mask_folder(self, split: str) -> Path:
        return self.folder / "masks" / OFFICIAL[split]

    def has_tables(self, where: str) -> bool:
        """Each of them is whole if it is there at all."""
        return all(path.is_file() for path in [*self.tables(where).values(), self.classes(where)])

    def is_complete(self) -> bool:
        return self.has_tables(FINISHED) and all(
            path.is_file()
            for split, table in self.tables(FINISHED).items()
            for row in read_table(table)
            for path in self._files(split, row)
        )

    def _files(self, split: str, row: Mapping[str, str]) -> Iterable[Path]:
        yield self.image(split, row["ImageID"])
        if self.masks:
            yield self.mask_folder(split) / row["MaskPath"]
