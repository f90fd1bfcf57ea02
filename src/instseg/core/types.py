"""Vocabulary: the types that travel between the data, the model, the metrics and the pictures.

Frames: the *original* frame is the image as a person sees it (EXIF orientation applied where the labels were drawn
that way); the *network* frame is the same image after resize and augmentation. Boxes are absolute ``x1, y1, x2, y2``
with an exclusive end, so a box that covers one pixel has width 1. In continuous coordinates (0, 0) is the outer corner
of the first pixel. Labels start at 1; 0 is the background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # an exported model predicts without torch
    import torch
    from torch import Tensor

SIZE_DIVISOR = 32
"""Of the sides of a batch's images: the coarsest stride of the stages of a backbone, px."""
BOX_MASK_SIZE = 112
"""Side M of ``Target.box_masks``: 12.5 kB per instance; 28x28 targets differ from dense ones in 1.8 % of pixels."""

ImageSize = tuple[int, int]
"""(height, width) in pixels."""


ValueRange = tuple[int, int]
"""Values of an image of more than 8 bits that become black and white, 0 and 255."""


class Rle(TypedDict):
    """Compressed COCO run-length mask, column-major."""

    size: list[int]  # height, width
    counts: bytes


Image = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB: images are decoded, augmented and drawn in this form."""

Polygon = NDArray[np.float64]
"""(P, 2) float64 vertices x, y in continuous pixels, P >= 3, not closed."""

Bitmask = NDArray[np.uint8]
"""(H, W) uint8 of 0 and 1."""

Box = NDArray[np.float64]
"""(4,) float64 xyxy in pixels."""


@dataclass(slots=True)
class Instances:
    """N instances of one image, as polygons wherever the labels are; every list and array has length N.

    Label 0 is that of a region to ignore, such as a crowd: what lies in it is neither an instance nor background. A
    negative label, -c, is that of an instance of category c without a mask, whose polygon is its box.

    ``polygons[i]`` holds the parts of instance i; it is empty when the instance exists only as a bitmap,
    and then ``rles[i]`` is that bitmap (compressed, of the image's size), otherwise None.
    """

    labels: NDArray[np.int64]  # (N,) 1..num_categories, 0 for a region to ignore, below 0 without a mask
    polygons: list[list[Polygon]]
    rles: list[Rle | None]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(slots=True)
class GroundTruth:
    """Annotations of one image in the original frame, crowd regions included: the truth for evaluation.

    An instance without a mask is a crowd where masks are measured: a mask in its box is neither right nor wrong.
    """

    image_id: int
    image_size: ImageSize
    boxes: NDArray[np.float64]  # (N, 4) xyxy
    labels: NDArray[np.int64]  # (N,) 1..num_categories
    areas: NDArray[np.float64]  # (N,) px², as annotated; COCO's small / medium / large
    iscrowd: NDArray[np.bool_]  # (N,) crowds, and instances without a mask
    rles: list[Rle]
    is_box_only: NDArray[np.bool_] | None = None  # (N,) the latter, whose boxes are measured; None: all have masks
    unlabelled: tuple[int, ...] = ()
    """Labels of the categories that nobody has labelled on this image, at least not all instances of them."""

    def __len__(self) -> int:
        return len(self.labels)

    def judged(self, prediction: Prediction) -> Prediction:
        """Return the prediction without what the labels cannot judge: the categories that are not labelled here."""
        if not self.unlabelled:
            return prediction
        return prediction.select(~np.isin(prediction.labels, self.unlabelled))


@dataclass(slots=True)
class Prediction:
    """Output of the model for one image, in the original frame, best score first; on the CPU."""

    image_id: int
    image_size: ImageSize
    boxes: NDArray[np.float32]  # (N, 4) xyxy
    labels: NDArray[np.int64]  # (N,) 1..num_categories
    scores: NDArray[np.float32]  # (N,) 0..1
    rles: list[Rle]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, keep: NDArray[np.bool_]) -> Prediction:
        """Return the instances for which ``keep`` (N,) is true."""
        rles = [rle for rle, kept in zip(self.rles, keep, strict=True) if kept]
        return Prediction(self.image_id, self.image_size, self.boxes[keep], self.labels[keep], self.scores[keep], rles)


@dataclass(slots=True)
class IgnoredRegions:
    """K regions of one image in which nothing is learnt, in the network frame."""

    boxes: Tensor  # float32 (K, 4) xyxy
    box_masks: Tensor  # uint8 (K, M, M), as those of a ``Target``

    def to(self, device: torch.device | str, non_blocking: bool = False) -> IgnoredRegions:
        """Copy the tensors to a device; as ``Target.to``.

        Args:
            device: where to.
            non_blocking: do not wait for a copy from pinned memory.
        """
        return self.with_each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def with_each(self, copied: Callable[[Tensor], Tensor]) -> IgnoredRegions:
        """Return regions whose tensors are the results of a function of these."""
        return IgnoredRegions(copied(self.boxes), copied(self.box_masks))


@dataclass(slots=True)
class Target:
    """Training target of one image, in the network frame.

    ``box_masks[i]`` is instance i drawn into the M x M frame of its own box, 0 or 1. The mask loss samples from it, so
    no mask of the image's size is ever made.
    """

    boxes: Tensor  # float32 (N, 4) xyxy
    labels: Tensor  # int64 (N,) 1..num_categories
    box_masks: Tensor  # uint8 (N, M, M)
    ignored: IgnoredRegions | None = None
    """Crowds; None where there are none."""
    has_mask: Tensor | None = None
    """bool (N,); None where all have. The box mask of an instance without one means nothing."""
    unlabelled: Tensor | None = None
    """int64 (U,) labels of categories that are not labelled on this image; None where all are."""

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Target:
        """Copy the tensors to a device.

        Args:
            device: where to.
            non_blocking: do not wait for a copy from pinned memory.
        """
        return self.with_each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Target:
        """Copy the tensors to page-locked memory, from which a GPU is filled without waiting."""
        return self.with_each(lambda tensor: tensor.pin_memory())

    def with_each(self, copied: Callable[[Tensor], Tensor]) -> Target:
        """Return a target whose tensors are the results of a function of these."""
        ignored = None if self.ignored is None else self.ignored.with_each(copied)
        has_mask, unlabelled = (None if t is None else copied(t) for t in (self.has_mask, self.unlabelled))
        return Target(copied(self.boxes), copied(self.labels), copied(self.box_masks), ignored, has_mask, unlabelled)


@dataclass(slots=True)
class Sample:
    """Augmented image with its target, before it joins a batch."""

    image: Tensor  # uint8 (3, H, W) RGB, network frame
    target: Target
    ground_truth: GroundTruth  # in the original frame; its instances are left empty in training


@dataclass(slots=True)
class Batch:
    """B images of one step, padded with zeros at the right and bottom to a common size."""

    images: Tensor  # uint8 (B, 3, H, W) RGB, channels_last, H and W multiples of 32
    image_sizes: list[ImageSize]  # of each image in the network frame, without the padding
    targets: list[Target]
    ground_truth: list[GroundTruth]  # original frame

    def __len__(self) -> int:
        return len(self.image_sizes)

    @property
    def image_ids(self) -> list[int]:
        """Dataset ids of the B images."""
        return [truth.image_id for truth in self.ground_truth]

    @property
    def original_sizes(self) -> list[ImageSize]:
        """Sizes (height, width) of the B images in the original frame."""
        return [truth.image_size for truth in self.ground_truth]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Copy images and targets to a device; the ground truth stays on the CPU.

        Args:
            device: where to.
            non_blocking: do not wait for a copy from pinned memory.
        """
        images = self.images.to(device, non_blocking=non_blocking)
        targets = [target.to(device, non_blocking) for target in self.targets]
        return Batch(images, self.image_sizes, targets, self.ground_truth)

    def pin_memory(self) -> Batch:
        """Copy images and targets to page-locked memory, from which a GPU is filled without waiting."""
        targets = [target.pin_memory() for target in self.targets]
        return Batch(self.images.pin_memory(), self.image_sizes, targets, self.ground_truth)


@dataclass(slots=True)
class Detections:
    """Instances found on one image after NMS, in the network frame, still on the device."""

    boxes: Tensor  # float32 (N, 4) xyxy
    labels: Tensor  # int64 (N,)
    scores: Tensor  # float32 (N,), descending
    mask_probs: Tensor  # float32 (N, m, m), the mask of the predicted category inside its box, 0..1


class CocoImage(TypedDict, total=False):
    """Entry of ``images`` in a COCO json."""

    id: int
    file_name: str
    height: int
    width: int
    source: str  # the set of labels that it came with, where there are several
    is_prediction: bool  # its labels are as predict.py wrote them: nobody has changed one
    instseg_digest: str  # of its labels, as predict.py wrote them: see ``core.prediction_mark``


class CocoAnnotation(TypedDict, total=False):
    """Entry of ``annotations`` in a COCO json, of the ground truth or of results."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]  # x, y, width, height
    area: float
    iscrowd: int
    score: float  # of results
    segmentation: object  # list of flat polygons | {"size", "counts"}


class CocoCategory(TypedDict, total=False):
    """Entry of ``categories`` in a COCO json."""

    id: int
    name: str
    supercategory: str


class CocoDict(TypedDict, total=False):
    """COCO json as a dictionary: the canonical form of every dataset."""

    info: Mapping[str, object]  # free text and settings of whoever wrote it
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
