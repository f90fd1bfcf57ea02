"""A trained model on images: arrays or files in, predictions in the pixels of those images out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

from instseg.checkpoints.operating_points import OperatingPoints, recalibrated_by
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, Prediction, ValueRange
from instseg.data.reading.images import read_image


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


class ImageResize(Protocol):
    """The resize to the size that the network was trained at; ``data.transforms.resize.Resize`` is one."""

    def __call__(self, image: Image) -> Image:
        """Return the image, (H, W, 3) uint8 RGB, in the network frame."""
        ...


class Predictor:
    """A network and its preprocessing.

    Args:
        network: loaded.
        resize: as in training.
        operating_points: score thresholds that were chosen in its training, and the recalibration of its scores.
        value_range: of images of 16 bits, as in training, see ``read_image``.
    """

    def __init__(
        self,
        network: Network,
        resize: ImageResize,
        operating_points: OperatingPoints | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        self.network, self.resize, self.operating_points = network, resize, operating_points
        self.value_range = value_range
        self.unreadable: list[tuple[Path, str]] = []
        """Files of the last ``predict_files`` that could not be read, each with the reason."""

    @property
    def categories(self) -> Categories:
        """Names of the labels 1...."""
        return self.network.categories

    def predict_images(self, images: Sequence[Image], image_ids: Sequence[int] | None = None) -> list[Prediction]:
        """Predict on one batch of images.

        Args:
            images: (H, W, 3) uint8 RGB, of any sizes.
            image_ids: those of the predictions; None counts from 0.

        Returns:
            One prediction for each image, in its pixels, best score first.

        Raises:
            InstsegError: the memory of the device does not hold the batch.
        """
        if not images:
            return []
        ids = range(len(images)) if image_ids is None else image_ids
        small = [self.resize(image) for image in images]
        found = self.network.predict(small, ids, [_size(image) for image in images])
        return recalibrated_by(self.operating_points, found)

    def predict_files(
        self, paths: Sequence[Path], batch_size: int = 1, num_threads: int | None = None
    ) -> Iterator[tuple[Path, Image, Prediction]]:
        """Predict on image files, which are decoded ahead in threads.

        Args:
            paths: the files; ``image_id`` of a prediction is the position in here, counted from 1.
            batch_size: images at once.
            num_threads: for decoding; None is up to 4. At most batch_size + num_threads decoded images wait at a time.

        Yields:
            Each readable file with its upright image and prediction, in order. A file that cannot be read is skipped
            and listed in ``unreadable``.
        """
        for batch in self.read_files(paths, batch_size, num_threads):
            ids, files, images = zip(*batch, strict=True)
            yield from zip(files, images, self.predict_images(images, ids), strict=True)

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
        self.unreadable = []
        threads = num_threads or min(4, os.cpu_count() or 1)
        readable = self._readable(paths, threads, batch_size + threads)
        while batch := list(islice(readable, batch_size)):
            yield batch

    def _readable(self, paths: Iterable[Path], num_threads: int, ahead: int) -> Iterator[tuple[int, Path, Image]]:
        with ThreadPoolExecutor(num_threads) as pool:
            numbered = enumerate(paths, start=1)
            waiting: deque[tuple[int, Path, Future[Image]]] = deque()
            try:
                while True:
                    for image_id, path in islice(numbered, ahead - len(waiting)):
                        waiting.append((image_id, path, pool.submit(read_image, path, value_range=self.value_range)))
                    if not waiting:
                        return
                    image_id, path, decoded = waiting.popleft()
                    try:
                        image = decoded.result()
                    except InstsegError as error:
                        self.unreadable.append((path, str(error).removeprefix(f"{path}: ")))
                    else:
                        yield image_id, path, image
            finally:
                pool.shutdown(cancel_futures=True)  # a caller that stops early does not wait for the rest


def _size(image: Image) -> ImageSize:
    return image.shape[0], image.shape[1]
