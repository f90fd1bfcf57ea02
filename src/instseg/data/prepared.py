"""A dataset that is ready to be trained on: one index per split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from instseg.core.categories import Categories
from instseg.core.text import plural
from instseg.data.index.columns import Index
from instseg.data.splits.splits_file import read_splits_file

FINDINGS, SPLITS_FILE = "findings.json", "splits.json"


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """The indices of a dataset by split name, and the folder that holds them.

    ``test`` may be the val images: ``notes`` says so.
    """

    folder: Path
    indices: dict[str, Index]
    notes: list[str]

    def split_lists(self) -> dict[str, list[str]]:
        """Read which image went where: names of splits, and maybe ``unused`` -> file names."""
        return read_splits_file(self.folder / SPLITS_FILE).lists

    @property
    def categories(self) -> Categories:
        """Categories of the training split, which all splits have."""
        return self.indices["train"].categories

    @property
    def fingerprint(self) -> str:
        """Name of the folder, which covers the labels and every option."""
        return self.folder.name

    def with_fraction_of_training(self, fraction: float, seed: int) -> PreparedDataset:
        """Return it with a part of the training images only.

        Args:
            fraction: part of the training images, above 0; 1 is all of them.
            seed: decides which; the images of a smaller fraction are among those of a larger one.
        """
        if fraction == 1:
            return self
        part = self.indices["train"].fraction(fraction, seed)
        notes = [*self.notes, f"Trained on {len(part)} of {plural(len(self.indices['train']), 'training image')}."]
        return PreparedDataset(self.folder, {**self.indices, "train": part}, notes)

    def on_training_images(self, num_images: int) -> PreparedDataset:
        """Return the first training images that have instances as every split, for a network to overfit."""
        few = self.indices["train"].first_with_instances(num_images)
        notes = [f"Training and evaluation both look at the same {plural(len(few), 'training image')}."]
        return PreparedDataset(self.folder, dict.fromkeys(self.indices, few), notes)
