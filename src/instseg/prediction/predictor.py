"""A trained model on photos: pictures in, predictions in the pixels of those pictures out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, Prediction
from instseg.data.dataset import SIZE_DIVISOR
from instseg.data.reading.images import read_image
from instseg.models.postprocess import detections_to_predictions


class ImageResize(Protocol):
    """What brings a photo to the size the network was trained on; ``data.transforms.Resize`` is one."""

    def __call__(self, image: Image) -> Image: ...


class Predictor:
    """Model, preprocessing and category names in one.

    Args:
        model: ``(images uint8 (B, 3, H, W), image_sizes) -> (losses, list[Detections])`` in evaluation mode, as
            ``MaskRCNN``. It is moved to the device and put into evaluation mode.
        categories: names of its labels 1...
        resize: as in training.
        device: auto (a GPU where there is one), cpu, cuda, cuda:1, mps.
    """

    def __init__(self, model: nn.Module, categories: Categories, resize: ImageResize, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.categories, self.resize = categories, resize
        self.unreadable: list[tuple[Path, str]] = []
        """Files of the last ``predict_files`` that could not be read, each with the reason."""

    @torch.inference_mode()
    def predict_images(self, images: Sequence[Image], image_ids: Sequence[int] | None = None) -> list[Prediction]:
        """One batch of (H, W, 3) uint8 RGB pictures of any sizes -> their predictions, best score first.

        ``image_ids`` become those of the predictions; None counts from 0. InstsegError when the device's memory
        does not hold the batch.
        """
        if not images:
            return []
        resized = [self.resize(image) for image in images]
        sizes = [_size(image) for image in resized]
        try:
            _, detections = self.model(_pad(resized).to(self.device), sizes)
        except torch.OutOfMemoryError as error:
            raise InstsegError(
                f"{self.device} has no memory for {len(images)} images of up to {max(sizes)} px at once: "
                "take a smaller batch_size or max_size, or device=cpu"
            ) from error
        ids = range(len(images)) if image_ids is None else image_ids
        return detections_to_predictions(detections, sizes, list(ids), [_size(image) for image in images])

    def predict_files(
        self, paths: Sequence[Path], batch_size: int = 1, num_threads: int | None = None
    ) -> Iterator[tuple[Path, Image, Prediction]]:
        """Each readable file with its upright picture and prediction, in order; files are decoded ahead in threads.

        ``image_id`` is the position in ``paths`` counted from 1. A file that cannot be read is left out and listed
        in ``unreadable``. At most batch_size + num_threads decoded pictures wait at a time.
        """
        self.unreadable = []
        threads = num_threads or min(4, os.cpu_count() or 1)
        readable = self._readable(paths, threads, batch_size + threads)
        while batch := list(islice(readable, batch_size)):
            ids, files, images = zip(*batch, strict=True)
            yield from zip(files, images, self.predict_images(images, ids), strict=True)

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
                pool.shutdown(cancel_futures=True)  # whoever stops early does not wait for the rest


def _size(image: Image) -> ImageSize:
    return image.shape[0], image.shape[1]


def _pad(images: Sequence[Image]) -> Tensor:
    """(B, 3, H, W) uint8, channels last, zeros at the right and bottom, as batches are in training."""
    height, width = (-(-max(image.shape[axis] for image in images) // SIZE_DIVISOR) * SIZE_DIVISOR for axis in (0, 1))
    batch = np.zeros((len(images), height, width, 3), np.uint8)
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where there is one. InstsegError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InstsegError(f"device={name} cannot be used here, try device=auto or device=cpu: {reason}") from error
    return device
