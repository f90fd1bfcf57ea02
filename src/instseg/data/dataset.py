"""From the index to samples and batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from instseg.core.errors import InstsegError
from instseg.core.types import Batch, IgnoredRegions, Image, Instances, Sample, Target
from instseg.data.batches import pad_images
from instseg.data.index.columns import Index
from instseg.data.samplers import SampleKey
from instseg.data.transforms.protocol import Augment


class InstanceDataset(Dataset[Sample]):
    """Images of one split as samples.

    ``dataset[3]`` is image 3 as it comes in epoch 0; the training loader asks for a ``SampleKey`` of any epoch.

    Args:
        index: the images and their instances.
        augmentation: resize, and in training random transforms.
        training: augment, and leave the ground truth for evaluation empty.
        seed: of the augmentation.
    """

    def __init__(self, index: Index, augmentation: Augment, training: bool, seed: int) -> None:
        self.index, self.augmentation, self.training, self.seed = index, augmentation, training, seed

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: SampleKey | int) -> Sample:
        """Return one sample.

        Raises:
            IndexError: there is no such image.
        """
        epoch, index, repeat = (0, range(len(self))[key], 0) if isinstance(key, int) else key
        state = [self.seed, epoch, index] if repeat == 0 else [self.seed, epoch, index, repeat]
        random = np.random.default_rng(state) if self.training else None
        donor = partial(self._another, index)
        image, boxes, labels, box_masks = self.augmentation(*self._read(index), random, donor)
        target = _target(boxes, labels, box_masks, self.index.unlabelled(index))
        truth = self.index.ground_truth(index, with_instances=not self.training)
        return Sample(torch.from_numpy(image).permute(2, 0, 1), target, truth)

    def _read(self, index: int) -> tuple[Image, Instances]:
        path, expected = self.index.path(index), self.index.image_size(index)
        image = self.index.read_image(index)
        if image.shape[:2] != expected:
            then, now = f"{expected[1]}x{expected[0]}", f"{image.shape[1]}x{image.shape[0]}"
            raise InstsegError(f"{path} was {then} when it was indexed, is {now} now")
        return image, self.index.instances(index)

    def _another(self, index: int, random: np.random.Generator) -> tuple[Image, Instances] | None:
        """Return one of the other images that have instances, each equally likely, for copy-paste to take from."""
        others = self._occupied[self._occupied != index]
        return self._read(int(random.choice(others))) if len(others) else None

    @cached_property
    def _occupied(self) -> NDArray[np.int64]:
        """Images with instances; each worker finds them, so that they need not be sent to it."""
        return np.flatnonzero(self.index.instances_per_image()[self.index.rows])


def _target(
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    box_masks: NDArray[np.uint8],
    unlabelled: Sequence[int] = (),
) -> Target:
    """Return instances as a target, those of label 0 as its ignored regions."""
    kept, ignored = labels != 0, None
    if not kept.all():
        ignored = IgnoredRegions(torch.from_numpy(boxes[~kept]), torch.from_numpy(box_masks[~kept]))
        boxes, labels, box_masks = boxes[kept], labels[kept], box_masks[kept]
    has_mask = None if (labels > 0).all() else torch.from_numpy(labels > 0)
    tensors = torch.from_numpy(boxes), torch.from_numpy(np.abs(labels)), torch.from_numpy(box_masks)
    return Target(*tensors, ignored, has_mask, torch.tensor(unlabelled) if unlabelled else None)


def collate(samples: Sequence[Sample]) -> Batch:
    """Return samples as one batch, their images padded to a common size."""
    images, sizes = pad_images([sample.image.permute(1, 2, 0).numpy() for sample in samples])
    targets = _in_common_storage([sample.target for sample in samples])
    return Batch(images, sizes, targets, [sample.ground_truth for sample in samples])


def _in_common_storage(targets: list[Target]) -> list[Target]:
    """Return targets whose tensors share storage.

    Every tensor that comes from a worker keeps a file open: three for all images of a batch, not three for each.
    """
    names = "boxes", "labels", "box_masks"
    boxes, labels, box_masks = (_joined([getattr(target, name) for target in targets]) for name in names)
    regions = [target.ignored for target in targets if target.ignored is not None]
    joined = (_joined([getattr(one, name) for one in regions]) for name in ("boxes", "box_masks") if regions)
    ignored = iter([IgnoredRegions(*tensors) for tensors in zip(*joined, strict=True)])
    kept = [target.ignored and next(ignored) for target in targets]
    seldom = [_joined_where_there([getattr(target, name) for target in targets]) for name in ("has_mask", "unlabelled")]
    return [Target(*tensors) for tensors in zip(boxes, labels, box_masks, kept, *seldom, strict=True)]


def _joined_where_there(tensors: list[Tensor | None]) -> list[Tensor | None]:
    there = iter(_joined([tensor for tensor in tensors if tensor is not None]))
    return [None if tensor is None else next(there) for tensor in tensors]


def _joined(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """Return tensors as parts of one."""
    return torch.split(torch.cat(tensors), [len(tensor) for tensor in tensors]) if tensors else ()
