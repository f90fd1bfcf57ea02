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
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.image_files import find_images
from instseg.data.reading.images import read_image
from instseg.deploy.measured import ApComparison, compare_ap
from instseg.deploy.trial_images import SCALES, made_images
from instseg.prediction.nms import OF_NETWORK, Nms
from instseg.prediction.predictor import Network

MADE = "made"
NUM_CALIBRATION = 100
"""Images from which an export in int8 measures ranges of values; more change little."""
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Trial:
    """Images to compare on."""

    origin: str
    """In words."""
    images: Sequence[Image]
    test: Iterable[Batch] | None = None
    """Batches with ground truth; None where there are none, or none are wanted."""
    num_test_batches: int = 0
    calibration: Sequence[Image] = ()
    """Images of val, from which an export in int8 measures ranges of values."""

    def measure_ap(
        self, reference: Network, found: Network, with_interval: bool = False, nms: Nms = OF_NETWORK
    ) -> ApComparison:
        """Measure two networks on the test images, with a progress bar.

        Args:
            reference: in PyTorch.
            found: the exported one.
            with_interval: measure the interval of their difference, too.
            nms: suppression after that of the networks.
        """
        batches = track(self.test or (), "test AP", self.num_test_batches, transient=True)
        return compare_ap(batches, reference, found, with_interval, nms)


def trial_for(config: RunConfig, categories: Categories) -> Trial:
    """Find the images for a checkpoint.

    Args:
        config: of the run.
        categories: of the checkpoint.

    Raises:
        InstsegError: the data of the checkpoint are not at hand, and no other images are given.
    """
    source = config.export.source
    num_calibration = NUM_CALIBRATION if config.export.quantize else 0
    if source == MADE:
        made = "made images, as there were no real ones"
        return Trial(made, made_images(len(SCALES)), calibration=made_images(num_calibration, seed=1))
    if source is not None:
        found, several = f"images of {source}", find_images(source)
        images, calibration = ([read_image(p) for p in _spread(several, n)] for n in (len(SCALES), num_calibration))
        return Trial(found, images, calibration=calibration)
    try:
        prepared = build_dataset(config)
        categories.check_same(prepared.categories, "checkpoint", "dataset")
    except InstsegError as error:
        raise InstsegError(
            f"the data of the checkpoint are not at hand: {error}. Name some images to compare on, source=FOLDER, or "
            f"source={MADE} where there are none"
        ) from error
    return _of_dataset(config, prepared, num_calibration)


def _of_dataset(config: RunConfig, prepared: PreparedDataset, num_calibration: int) -> Trial:
    split, seen = (_first_of(prepared, *names) for names in (("test", "val", "train"), ("val", "train", "test")))
    images = _read(prepared.indices[split], len(SCALES))
    calibration = _read(prepared.indices[seen], num_calibration)
    origin = f"{split} images of the data"
    if split != "test" or not config.export.test:
        return Trial(origin, images, calibration=calibration)
    test = build_datamodule(config, prepared).test_dataloader()
    return Trial(origin, images, test, len(test), calibration)


def _first_of(prepared: PreparedDataset, *splits: str) -> str:
    """Return the first split that has images."""
    return next(name for name in splits if len(prepared.indices[name]))


def _read(index: Index, count: int) -> list[Image]:
    """Read a few images from all over a split."""
    return [index.read_image(row) for row in _spread(range(len(index)), count)]


def _spread(entries: Sequence[Entry], at_most: int) -> list[Entry]:
    """Return a few entries from all over a sequence."""
    count = min(len(entries), at_most)
    return [entries[number * len(entries) // count] for number in range(count)]
