"""A trained model on images: arrays or files in, predictions in the pixels of those images out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from instseg.checkpoints.operating_points import OperatingPoints, recalibrated_by
from instseg.core.categories import Categories
from instseg.core.types import Image, ImageSize, Prediction, ValueRange
from instseg.core.windows import InMemory, LargeImage, Tile, Windowed
from instseg.data.reading.images import read_image
from instseg.data.reading.tiff_windows import DamagedWindowError, open_windows
from instseg.data.transforms.resize import scaled
from instseg.prediction.fusing import fused
from instseg.prediction.merging import TileMerger
from instseg.prediction.nms import OF_NETWORK, Nms
from instseg.prediction.reading_ahead import decoded_ahead
from instseg.prediction.tiling import ImageResize, Tiling
from instseg.prediction.views import AS_IT_IS, View


class Network(Protocol):
    """A trained network that predicts, in PyTorch or in another runtime."""

    @property
    def categories(self) -> Categories:
        """Names of its labels 1...."""
        ...

    @property
    def device(self) -> str:
        """The device that it works on, such as cpu or cuda:0, for people."""
        ...

    def predict(
        self, images: Sequence[Image], image_ids: Sequence[int], original_sizes: Sequence[ImageSize]
    ) -> list[Prediction]:
        """Predict on one batch.

        Args:
            images: (H_i, W_i, 3) uint8 RGB, in the network frame; at least one.
            image_ids: one for each image; they become those of the predictions.
            original_sizes: (height, width) px of each image before the resize.

        Returns:
            One prediction for each image, in the original frame, best score first.

        Raises:
            InstsegError: the memory of the device does not hold the batch.
        """
        ...


Decoded = Image | LargeImage
"""An image (H, W, 3) uint8 RGB in memory; or a large one, of which tiles are read."""
Pixels = TypeVar("Pixels", Image, Decoded)
_File = tuple[int, Path, Decoded]
"""image_id, file and image."""


class Predictor:
    """A network and its preprocessing.

    Args:
        network: loaded.
        resize: as in training.
        operating_points: score thresholds that were chosen in its training, and the recalibration of its scores.
        value_range: of images of 16 bits, as in training, see ``read_image``.
        tiling: of large images; None predicts every image whole.
        nms: suppression after that of the network.
        views: of each image, whose predictions are fused.
    """

    def __init__(
        self,
        network: Network,
        resize: ImageResize,
        operating_points: OperatingPoints | None = None,
        value_range: ValueRange | None = None,
        tiling: Tiling | None = None,
        nms: Nms = OF_NETWORK,
        views: Sequence[View] = AS_IT_IS,
    ) -> None:
        self.network, self.resize, self.operating_points = network, resize, operating_points
        self.value_range, self.tiling, self.nms, self.views = value_range, tiling, nms, views
        self.unreadable: list[tuple[Path, str]] = []
        """Files of the last ``predict_files`` that could not be read, each with the reason."""
        self.advised: Tiling | None = None
        """The tiles of tile=auto, where images are predicted whole and it is known at which scale was trained."""
        self.make: Callable[[Path], None] = lambda path: None
        """Is called before a file is read, and may write it; InstsegError where it cannot."""
        self.on_tiles: Callable[[ImageSize, int], None] = lambda size, done: None
        """Is told, of an image that is predicted in tiles, its size and how many of them are done: first 0."""

    @property
    def categories(self) -> Categories:
        """Names of the labels 1...."""
        return self.network.categories

    def predict_images(
        self, images: Sequence[Decoded], image_ids: Sequence[int] | None = None, batch_size: int = 1
    ) -> list[Prediction]:
        """Predict on one batch of images.

        Args:
            images: (H, W, 3) uint8 RGB, of any sizes.
            image_ids: those of the predictions; None counts from 0.
            batch_size: tiles at once, of an image that is predicted in tiles.

        Returns:
            One prediction for each image, in its pixels, best score first.

        Raises:
            InstsegError: the memory of the device does not hold the batch.
        """
        ids = list(range(len(images)) if image_ids is None else image_ids)
        tiles = [self.tiles(_size(image)) for image in images]
        found: dict[int, Prediction] = {}
        for position, own in enumerate(tiles):
            if own:
                found[position] = self._in_tiles(_windowed(images[position]), own, ids[position], batch_size)
        whole = [position for position, own in enumerate(tiles) if not own]
        decoded = [_whole(images[position]) for position in whole]
        if decoded:
            sizes = [self.resize.output_size(_size(image)) for image in decoded]
            found |= zip(whole, self._look(decoded, sizes, [ids[position] for position in whole]), strict=True)
        return recalibrated_by(self.operating_points, [found[position] for position in range(len(images))])

    def tiles(self, size: ImageSize) -> list[Tile]:
        """Return the tiles that an image of this (height, width) px is predicted in; none: it is predicted whole."""
        return [] if self.tiling is None else self.tiling.tiles(size, self.resize)

    def _in_tiles(self, image: Windowed, tiles: Sequence[Tile], image_id: int, batch_size: int) -> Prediction:
        """Predict on an image tile by tile; no more tiles than one batch are held."""
        assert self.tiling is not None
        scale = self.tiling.scale(self.resize)
        merger, waiting = TileMerger(tiles, image.size, scale), iter(enumerate(tiles))
        self.on_tiles(image.size, 0)
        while batch := list(islice(waiting, batch_size)):
            parts = [image.read(tile.window) for _, tile in batch]
            sizes = [scaled(_size(part), scale) for part in parts]
            for (number, _), found in zip(batch, self._look(parts, sizes, range(len(parts))), strict=True):
                merger.add(number, found)
            self.on_tiles(image.size, batch[-1][0] + 1)
        merged = merger.merged(image_id)
        return self.nms(merged) if self.nms.is_repeatable else merged

    def _look(self, images: Sequence[Image], sizes: Sequence[ImageSize], ids: Sequence[int]) -> list[Prediction]:
        """Predict on images, given their sizes in the network."""
        found = [self._view(view, images, sizes, ids) for view in self.views]
        return found[0] if len(found) == 1 else [fused(of_image) for of_image in zip(*found, strict=True)]

    def _view(
        self, view: View, images: Sequence[Image], sizes: Sequence[ImageSize], ids: Sequence[int]
    ) -> list[Prediction]:
        seen = [view.of(image, size) for image, size in zip(images, sizes, strict=True)]
        every = self.network.predict(seen, ids, [_size(image) for image in images])
        return [view.back(self.nms(found)) for found in every]

    def predict_files(
        self, paths: Sequence[Path], batch_size: int = 1, num_threads: int | None = None
    ) -> Iterator[tuple[Path, Decoded, Prediction]]:
        """Predict on image files, which are decoded ahead in threads.

        Args:
            paths: the files; ``image_id`` of a prediction is the position in here, counted from 1.
            batch_size: images at once, or tiles of one.
            num_threads: for decoding; None is up to 4. At most batch_size + num_threads decoded images wait at a time.

        Yields:
            Each readable file with its upright image and prediction, in order. A file that cannot be read is skipped
            and listed in ``unreadable``.
        """
        for batch in self._batches(paths, batch_size, num_threads, self.decode):
            yield from self._predicted(batch, batch_size)

    def _predicted(self, batch: Sequence[_File], batch_size: int) -> list[tuple[Path, Decoded, Prediction]]:
        """Predict on a batch, without a file of which a tile turns out to be damaged."""
        try:
            found = self.predict_images([image for *_, image in batch], [number for number, *_ in batch], batch_size)
        except DamagedWindowError as error:
            self.unreadable.append((error.path, error.reason))
            return self._predicted([entry for entry in batch if entry[1] != error.path], batch_size)
        return [(path, image, prediction) for (_, path, image), prediction in zip(batch, found, strict=True)]

    def decode(self, path: Path) -> Decoded:
        """Read an image file; a large one that is predicted in tiles is only opened where windows of it can be read.

        Raises:
            InstsegError: it is no image or not a whole one, with the file and the reason.
        """
        self.make(path)
        large = None if self.tiling is None else open_windows(path, self.value_range)
        is_tiled = large is not None and self.tiles(large.size)
        return large if large is not None and is_tiled else read_image(path, value_range=self.value_range)

    def read_files(
        self, paths: Sequence[Path], batch_size: int = 1, num_threads: int | None = None
    ) -> Iterator[list[tuple[int, Path, Image]]]:
        """Read image files in batches, which are decoded ahead in threads.

        Args:
            paths: the files; the image_id of each is its position in here, counted from 1.
            batch_size: images in a batch.
            num_threads: as of ``predict_files``.

        Yields:
            image_id, file and upright image of each readable file of a batch. The others are listed in ``unreadable``.
        """
        read = partial(read_image, value_range=self.value_range)
        yield from self._batches(paths, batch_size, num_threads, read)

    def _batches(
        self, paths: Sequence[Path], batch_size: int, num_threads: int | None, decode: Callable[[Path], Pixels]
    ) -> Iterator[list[tuple[int, Path, Pixels]]]:
        self.unreadable = []
        threads = num_threads or min(4, os.cpu_count() or 1)
        readable = decoded_ahead(paths, decode, threads, batch_size + threads, self.unreadable)
        while batch := list(islice(readable, batch_size)):
            yield batch


def _size(image: Decoded) -> ImageSize:
    return (image.shape[0], image.shape[1]) if isinstance(image, np.ndarray) else image.size


def _whole(image: Decoded) -> Image:
    return image if isinstance(image, np.ndarray) else image.whole()


def _windowed(image: Decoded) -> Windowed:
    return InMemory(image) if isinstance(image, np.ndarray) else image
