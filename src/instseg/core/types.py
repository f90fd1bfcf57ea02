"""The vocabulary: what travels between the data, the model, the metrics and the pictures.

Frames: the *original* frame is the photo as a person sees it (EXIF applied where the labels were drawn
that way); the *network* frame is the same photo after resize and augmentation. Boxes are absolute
``x1, y1, x2, y2`` with an exclusive end, so a box that covers one pixel has width 1. Continuous coordinates
put (0, 0) at the outer corner of the first pixel. Labels run from 1; 0 is the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BOX_MASK_SIZE = 112
"""Side M of ``Target.box_masks``: 12.5 kB an instance; 28x28 targets differ in 1.8 % of pixels from dense ones."""

ImageSize = tuple[int, int]
"""(height, width) in pixels."""

Rle = dict[str, Any]
"""A compressed COCO run-length mask: ``{"size": [height, width], "counts": bytes}``, column-major."""

Image = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, the form in which pictures are decoded, augmented and drawn."""

Polygon = NDArray[np.float64]
"""(P, 2) float64 vertices x, y in continuous pixels, P >= 3, not closed."""


@dataclass(slots=True)
class Instances:
    """The N instances of one image, vector wherever the labels are; every list and array has length N.

    ``polygons[i]`` holds the parts of instance i; it is empty when the instance exists only as a bitmap,
    and then ``rles[i]`` is that bitmap (compressed, of the image's size), otherwise None.
    """

    labels: NDArray[np.int64]  # (N,)
    polygons: list[list[Polygon]]
    rles: list[Rle | None]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(slots=True)
class GroundTruth:
    """What a person drew on one image, in the original frame: the truth for evaluation. Crowds included."""

    image_id: int
    image_size: ImageSize
    boxes: NDArray[np.float64]  # (N, 4) xyxy
    labels: NDArray[np.int64]  # (N,) 1..num_categories
    areas: NDArray[np.float64]  # (N,) px², as annotated: decides COCO's small / medium / large
    iscrowd: NDArray[np.bool_]  # (N,)
    rles: list[Rle]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(slots=True)
class Prediction:
    """What the model says about one image, in the original frame, best score first. Lives on the CPU."""

    image_id: int
    image_size: ImageSize
    boxes: NDArray[np.float32]  # (N, 4) xyxy
    labels: NDArray[np.int64]  # (N,) 1..num_categories
    scores: NDArray[np.float32]  # (N,) 0..1
    rles: list[Rle]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, keep: NDArray[np.bool_]) -> Prediction:
        """The instances where ``keep`` (N,) is true."""
        rles = [rle for rle, kept in zip(self.rles, keep, strict=True) if kept]
        return Prediction(self.image_id, self.image_size, self.boxes[keep], self.labels[keep], self.scores[keep], rles)


@dataclass(slots=True)
class Target:
    """Training target of one image, in the network frame. Never holds a crowd region.

    ``box_masks[i]`` is instance i drawn into the M x M frame of its own box, 0 or 1: the mask loss samples
    from there, so no mask of the image's size is ever made.
    """

    boxes: Tensor  # float32 (N, 4) xyxy
    labels: Tensor  # int64 (N,) 1..num_categories
    box_masks: Tensor  # uint8 (N, M, M)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Target:
        return Target(
            self.boxes.to(device, non_blocking=non_blocking),
            self.labels.to(device, non_blocking=non_blocking),
            self.box_masks.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Target:
        return Target(self.boxes.pin_memory(), self.labels.pin_memory(), self.box_masks.pin_memory())


@dataclass(slots=True)
class Sample:
    """One augmented image with its target, before it joins a batch."""

    image: Tensor  # uint8 (3, H, W) RGB, network frame
    target: Target
    ground_truth: GroundTruth  # in the original frame; its instances are left empty in training


@dataclass(slots=True)
class Batch:
    """B images of one step. ``images`` is padded with zeros at the right and bottom to a common size."""

    images: Tensor  # uint8 (B, 3, H, W) RGB, channels_last, H and W multiples of 32
    image_sizes: list[ImageSize]  # of each image in the network frame, without the padding
    targets: list[Target]
    ground_truth: list[GroundTruth]  # original frame

    def __len__(self) -> int:
        return len(self.image_sizes)

    @property
    def image_ids(self) -> list[int]:
        return [truth.image_id for truth in self.ground_truth]

    @property
    def original_sizes(self) -> list[ImageSize]:
        return [truth.image_size for truth in self.ground_truth]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        images = self.images.to(device, non_blocking=non_blocking)
        targets = [target.to(device, non_blocking) for target in self.targets]
        return Batch(images, self.image_sizes, targets, self.ground_truth)

    def pin_memory(self) -> Batch:
        targets = [target.pin_memory() for target in self.targets]
        return Batch(self.images.pin_memory(), self.image_sizes, targets, self.ground_truth)


@dataclass(slots=True)
class Detections:
    """What the network found on one image after NMS, in the network frame, still on the device."""

    boxes: Tensor  # float32 (N, 4) xyxy
    labels: Tensor  # int64 (N,)
    scores: Tensor  # float32 (N,), descending
    mask_probs: Tensor  # float32 (N, m, m), the mask of the predicted category inside its box, 0..1


class CocoImage(TypedDict, total=False):
    id: int
    file_name: str
    height: int
    width: int
    source: str  # which of several sets of labels it came with


class CocoAnnotation(TypedDict, total=False):
    id: int
    image_id: int
    category_id: int
    bbox: list[float]  # x, y, width, height
    area: float
    iscrowd: int
    segmentation: Any  # list of flat polygons | {"size", "counts"}


class CocoCategory(TypedDict, total=False):
    id: int
    name: str
    supercategory: str


class CocoDict(TypedDict, total=False):
    """The canonical form of every dataset: a COCO json as a dictionary."""

    info: dict[str, Any]
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
