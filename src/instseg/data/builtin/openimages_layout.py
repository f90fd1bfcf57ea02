"""Layout of a selection from Open Images, named like the unpacked official archives so that other tools can read it.

The tables are in ``annotations`` once everything they name is there. Until then they are in a hidden folder, so that no
reader mistakes the selection for complete, and have all rows of the classes.
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
    """Paths of a selection; ``masks``: with masks, otherwise boxes."""

    folder: Path
    splits: tuple[str, ...]
    masks: bool

    @property
    def official_tables(self) -> dict[str, str]:
        """Path of each split's table on the server."""
        return {split: (MASK_TABLES if self.masks else BOX_TABLES)[split] for split in self.splits}

    @property
    def columns(self) -> tuple[str, ...]:
        """Required columns of the tables."""
        return MASK_COLUMNS if self.masks else BOX_COLUMNS

    def tables(self, where: str) -> dict[str, Path]:
        """Return the path of each split's table in the subfolder ``where``."""
        return {split: self.folder / where / PurePosixPath(path).name for split, path in self.official_tables.items()}

    def classes(self, where: str) -> Path:
        """Return the path of the table of classes in the subfolder ``where``."""
        return self.folder / where / PurePosixPath(CLASSES).name

    def image(self, split: str, image_id: str) -> Path:
        """Return the path of an image.

        Args:
            split: train, val or test.
            image_id: its ImageID.
        """
        return self.folder / "images" / OFFICIAL[split] / f"{image_id}.jpg"

    def mask_folder(self, split: str) -> Path:
        """Return the folder of a split's masks."""
        return self.folder / "masks" / OFFICIAL[split]

    def has_tables(self, where: str) -> bool:
        """Tell whether all tables exist in the subfolder ``where``; those that exist are complete."""
        return all(path.is_file() for path in [*self.tables(where).values(), self.classes(where)])

    def is_complete(self) -> bool:
        """Tell whether the tables and all files they name exist."""
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
