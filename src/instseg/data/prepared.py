"""A dataset that is ready to be trained on: one index per split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import ValueRange
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
    def value_range(self) -> ValueRange | None:
        """Values of 16 bits that become black and white in all splits; None where no image has 16 bits."""
        return self.indices["train"].value_range

    @property
    def fingerprint(self) -> str:
        """Name of the folder, which covers the labels and every option."""
        return self.folder.name

    def check_range(self, trained: ValueRange | None) -> None:
        """Require the range that a network was trained with.

        Args:
            trained: of its checkpoint; None where it saw no images of 16 bits.

        Raises:
            InstsegError: images of 16 bits would be brighter or darker here than the network knows them.
        """
        if trained is not None and self.value_range not in (None, trained):
            raise InstsegError(
                f"{self.folder.name}: images of 16 bits are scaled by {self.value_range}, and the checkpoint was "
                f"trained with {trained}: use dataset.value_range=[{trained[0]},{trained[1]}]"
            )

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
