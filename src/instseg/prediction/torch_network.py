"""A network that predicts in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.precision import autocast, fastest_precision
from instseg.core.segmenter import BoxSuppression, InstanceSegmenter, SuppressesBoxes, as_module
from instseg.core.text import plural
from instseg.core.types import Batch, Image, ImageSize, Prediction
from instseg.data.batches import unlabelled_batch
from instseg.prediction.nms import CANDIDATES, LOOSE


class TorchNetwork:
    """A network in PyTorch, in evaluation mode on its device.

    Args:
        model: moved to the device and put into evaluation mode.
        device: auto (a GPU where there is one), cpu, cuda, cuda:1, mps.
        precision: auto (the fastest of the device), 32-true or bf16-mixed.
    """

    def __init__(self, model: InstanceSegmenter, device: str = "auto", precision: str = "auto") -> None:
        self.model, self._device = model, choose_device(device)
        self._precision = fastest_precision(self._device.type) if precision == "auto" else precision
        as_module(model).to(self._device).to(memory_format=torch.channels_last).eval()

    @property
    def categories(self) -> Categories:
        """Names of its labels 1...."""
        return self.model.categories

    @property
    def device(self) -> str:
        """The device that it works on, such as cpu or cuda:0."""
        return str(self._device)

    @torch.inference_mode()
    def predict(
        self, images: Sequence[Image], image_ids: Sequence[int], original_sizes: Sequence[ImageSize]
    ) -> list[Prediction]:
        """Predict on one batch.

        Args:
            images: (H_i, W_i, 3) uint8 RGB, in the network frame.
            image_ids: one for each image.
            original_sizes: (height, width) px of each image before the resize.

        Returns:
            One prediction for each image, in the original frame, best score first.

        Raises:
            InstsegError: the memory of the device does not hold the batch.
        """
        batch = self.batch(images, image_ids, original_sizes)
        with self.at_work(batch):
            return self.model.predict(batch)

    def batch(self, images: Sequence[Image], image_ids: Sequence[int], sizes: Sequence[ImageSize]) -> Batch:
        """Return a batch on the device.

        Args:
            images: in the network frame.
            image_ids: those of the predictions.
            sizes: (height, width) px that the predictions will have.
        """
        batch = unlabelled_batch(images, image_ids, sizes)
        return replace(batch, images=batch.images.to(self._device))

    @contextmanager
    def at_work(self, batch: Batch) -> Iterator[None]:
        """Compute in the precision of the model.

        Args:
            batch: to be computed on.

        Raises:
            InstsegError: the memory of the device does not hold it.
        """
        try:
            with autocast(self._device, self._precision):
                yield
        except torch.OutOfMemoryError as error:
            raise InstsegError(
                f"{self.device} has no memory for {plural(len(batch), 'image')} of up to {max(batch.image_sizes)} px "
                "at once: use a smaller batch_size or max_size, or device=cpu"
            ) from error


def leave_candidates(model: InstanceSegmenter, asked: str) -> BoxSuppression:
    """Have a network leave the candidates that another suppression needs.

    Args:
        model: changed for good.
        asked: the setting that needs it, for the message.

    Returns:
        What the network would do itself.

    Raises:
        InstsegError: the network does not say how it suppresses.
    """
    if not isinstance(model, SuppressesBoxes):
        raise InstsegError(
            f"{asked}: expected a network that leaves candidates (SuppressesBoxes of instseg.core.segmenter), found "
            f"{type(model).__name__}; nms=agnostic needs none"
        )
    own = model.box_suppression
    model.box_suppression = BoxSuppression(max(own.iou_threshold, LOOSE), CANDIDATES * own.per_image)
    return own


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
