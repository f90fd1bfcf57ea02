"""Resize and augmentation of an image with its instances.

Polygon vertices travel through albumentations as keypoints, bitmap-only instances as packed label maps; both are
turned into boxes and box masks only at the end, so N instances cost about as much as the image alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, Instances
from instseg.data.transforms.protocol import Donor
from instseg.data.transforms.resize import Resize, is_range, resize_image
from instseg.data.transforms.targets import MovingInstances
from instseg.data.transforms.tile_crop import TileCrop

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the network for a newer version otherwise
import albumentations as A

Paste = Callable[[Image, MovingInstances, Donor, Resize, np.random.Generator], Image]
"""Function that puts instances of the donor's image on top of a resized image, or not, and returns the result."""


class Augmentation:
    """Resize for everyone, then random transforms for training.

    Args:
        min_size, max_size: see ``Resize``; px. Kept in the checkpoint, so prediction uses the same.
        train: name -> albumentations transform, applied in this order, in training only. To change the size use
            ``scale_range`` or an affine transform: albumentations' own resizes leave points (scale - 1) / 2 px off.
            Turns come before crops: what a crop has cut off would be turned back onto the padding.
        scale_range: in training the resize is multiplied by a factor drawn from here (large-scale jitter).
        min_visibility: an instance of which less than this fraction is left after cropping or pasting is no target.
        copy_paste: in training, instances of another image are put on top before the transforms.
        tile: in training, a tile of the image takes its place. In the resize its side becomes ``min_size``, and whole
            images of evaluation get the same scale.
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        train: Mapping[str, A.BasicTransform | A.BaseCompose | None] | None = None,
        scale_range: tuple[float, float] | Sequence[float] = (1.0, 1.0),
        min_visibility: float = 0.1,
        copy_paste: Paste | None = None,
        tile: TileCrop | None = None,
    ) -> None:
        self.resize = Resize(min_size, max_size)
        if not is_range(scale_range):
            raise InstsegError(f"augmentation.scale_range={scale_range}: expected [low, high], 0 < low <= high")
        self.scale_range = (float(scale_range[0]), float(scale_range[1]))
        if not 0 <= min_visibility <= 1:
            raise InstsegError(f"augmentation.min_visibility={min_visibility}: expected a fraction from 0 to 1")
        self.min_visibility = min_visibility
        if copy_paste is not None and tile is not None:
            raise InstsegError("augmentation.copy_paste pastes at the size of whole images: leave it or tile out")
        self.copy_paste, self.tile = copy_paste, tile
        transforms = [transform for transform in (train or {}).values() if transform is not None]
        self.pipeline = self._compose(transforms) if transforms else None

    @staticmethod
    def _compose(transforms: list[A.BasicTransform | A.BaseCompose]) -> A.Compose:
        keypoints = A.KeypointParams(format="xy", remove_invisible=False, check_each_transform=False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*no transform to process it")  # colours alone: nothing moves
            return A.Compose(transforms, keypoint_params=keypoints)

    def __call__(
        self, image: Image, instances: Instances, random: np.random.Generator | None, donor: Donor | None = None
    ) -> tuple[Image, NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
        """Resize, and augment where a generator is given.

        Args:
            image: uint8 (H, W, 3) RGB, original frame.
            instances: of the image.
            random: decides everything that is random; None to resize only.
            donor: gives copy-paste another image to take from.

        Returns:
            image uint8 (H, W, 3) in the network frame, boxes (N, 4) xyxy, labels (N,), box_masks (N, M, M).
        """
        if self.tile is not None and random is not None:
            image, instances = self.tile(image, instances, random, self.min_visibility)
        size = self._output_size(image.shape[:2], random.uniform(*self.scale_range) if random else 1.0)
        moving = MovingInstances(instances, image.shape[:2], size)
        image = resize_image(image, size)
        if random is not None:
            if self.copy_paste is not None and donor is not None:
                image = self.copy_paste(image, moving, donor, self.resize, random)
            if self.pipeline is not None:
                # With set_random_seed all transforms would draw the same numbers, and flip only what they also crop.
                self.pipeline.set_random_state(random, Random(int(random.integers(2**31))))
                image = moving.transform(self.pipeline, image)
        return np.ascontiguousarray(image), *moving.targets(self.min_visibility)

    def _output_size(self, size: ImageSize, factor: float) -> ImageSize:
        """Return the (height, width) px in the network frame of an image or a tile of this size."""
        if self.tile is None:
            return self.resize.output_size(size, factor)
        scale = self.resize.min_size / self.tile.side * factor
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
