"""The images that an exported network is compared on: those of the checkpoint's data, of a folder, or made ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.progress import track

from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.config import RunConfig
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Batch, Image
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.image_files import find_images
from instseg.data.reading.images import read_image
from instseg.deploy.measured import ApComparison, compare_ap
from instseg.deploy.trial_images import SCALES, made_images
from instseg.prediction.predictor import Network

MADE = "made"
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Trial:
    """Images to compare on."""

    origin: str
    """In words."""
    images: Sequence[Image]
    test: Iterable[Batch] | None = None
    """Batches with ground truth; None where there are none, or none are wanted."""
    num_test_images: int = 0

    def measure_ap(self, reference: Network, found: Network) -> ApComparison:
        """Measure two networks on the test images, with a progress bar.

        Args:
            reference: in PyTorch.
            found: the exported one.
        """
        batches = track(self.test or (), "test AP", self.num_test_images, transient=True)
        return compare_ap(batches, reference, found)


def trial_for(config: RunConfig, categories: Categories) -> Trial:
    """Find the images for a checkpoint.

    Args:
        config: of the run.
        categories: of the checkpoint.

    Raises:
        InstsegError: the data of the checkpoint are not at hand, and no other images are given.
    """
    source = config.export.source
    if source == MADE:
        return Trial("made images, as there were no real ones", made_images(len(SCALES)))
    if source is not None:
        paths = find_images(source)
        return Trial(f"images of {source}", [read_image(path) for path in _spread(paths)])
    try:
        prepared = build_dataset(config)
        categories.check_same(prepared.categories, "checkpoint", "dataset")
    except InstsegError as error:
        raise InstsegError(
            f"the data of the checkpoint are not at hand: {error}. Name some images to compare on, source=FOLDER, or "
            f"source={MADE} where there are none"
        ) from error
    return _of_dataset(config, prepared)


def _of_dataset(config: RunConfig, prepared: PreparedDataset) -> Trial:
    split = next(name for name in ("test", "val", "train") if len(prepared.indices[name]))
    index = prepared.indices[split]
    images = [read_image(index.path(row), rotate=index.rotate(row)) for row in _spread(range(len(index)))]
    origin = f"{split} images of the data"
    if split != "test" or not config.export.test:
        return Trial(origin, images)
    return Trial(origin, images, build_datamodule(config, prepared).test_dataloader(), len(index))


def _spread(entries: Sequence[Entry]) -> list[Entry]:
    """Return a few entries from all over a sequence."""
    count = min(len(entries), len(SCALES))
    return [entries[number * len(entries) // count] for number in range(count)]
