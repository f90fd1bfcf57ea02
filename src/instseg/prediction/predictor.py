"""A trained model on images: arrays or files in, predictions in the pixels of those images out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch

from instseg.checkpoints.operating_points import OperatingPoints, recalibrated_by
from instseg.core.errors import InstsegError
from instseg.core.precision import autocast, fastest_precision
from instseg.core.segmenter import InstanceSegmenter, as_module
from instseg.core.text import plural
from instseg.core.types import Batch, Image, ImageSize, Prediction
from instseg.data.batches import unlabelled_batch
from instseg.data.reading.images import read_image


class ImageResize(Protocol):
    """The resize to the size that the network was trained at; ``data.transforms.resize.Resize`` is one."""

    def __call__(self, image: Image) -> Image:
        """Return the image, (H, W, 3) uint8 RGB, in the network frame."""
        ...


class Predictor:
    """A network and its preprocessing.

    Args:
        model: moved to the device and put into evaluation mode.
        resize: as in training.
        device: auto (a GPU where there is one), cpu, cuda, cuda:1, mps.
        operating_points: score thresholds that were chosen in its training, and the recalibration of its scores.
        precision: auto (the fastest of the device), 32-true or bf16-mixed.
    """

    def __init__(
        self,
        model: InstanceSegmenter,
        resize: ImageResize,
        device: str = "auto",
        operating_points: OperatingPoints | None = None,
        precision: str = "auto",
    ) -> None:
        self.device, self.operating_points = choose_device(device), operating_points
        self.precision = fastest_precision(self.device.type) if precision == "auto" else precision
        self.model, self.categories, self.resize = model, model.categories, resize
        as_module(model).to(self.device).to(memory_format=torch.channels_last).eval()
        self.unreadable: list[tuple[Path, str]] = []
        """Files of the last ``predict_files`` that could not be read, each with the reason."""

    @torch.inference_mode()
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
        batch = self.batch([self.resize(image) for image in images], ids, [_size(image) for image in images])
        with self.at_work(batch):
            found = self.model.predict(batch)
        return recalibrated_by(self.operating_points, found)

    def batch(self, images: Sequence[Image], image_ids: Sequence[int], sizes: Sequence[ImageSize]) -> Batch:
        """Return a batch on the device.

        Args:
            images: in the network frame.
            image_ids: those of the predictions.
            sizes: (height, width) px that the predictions will have.
        """
        batch = unlabelled_batch(images, image_ids, sizes)
        return replace(batch, images=batch.images.to(self.device))

    @contextmanager
    def at_work(self, batch: Batch) -> Iterator[None]:
        """Compute in the precision of the model.

        Args:
            batch: to be computed on.

        Raises:
            InstsegError: the memory of the device does not hold it.
        """
        try:
            with autocast(self.device, self.precision):
                yield
        except torch.OutOfMemoryError as error:
            raise InstsegError(
                f"{self.device} has no memory for {plural(len(batch), 'image')} of up to {max(batch.image_sizes)} px "
                "at once: use a smaller batch_size or max_size, or device=cpu"
            ) from error

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
                        waiting.append((image_id, path, pool.submit(read_image, path)))
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


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU where there is one.

    Raises:
        InstsegError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InstsegError(f"device={name} cannot be used here; try device=auto or device=cpu: {reason}") from error
    return device
