"""Normalisation of the images, as the weights of the backbone were trained with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from instseg.core.types import ImageSize
from instseg.models.feature_backbone import HasPixelStatistics

IMAGE_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB, pixel values 0..1: what the published weights were trained on
IMAGE_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Conversion of a batch of uint8 images to what the backbone expects, at once and on the device.

    Args:
        mean: of each channel, for pixel values 0..1.
        std: the standard deviation of each.
    """

    def __init__(self, mean: Sequence[float] = IMAGE_MEAN, std: Sequence[float] = IMAGE_STD) -> None:
        super().__init__()
        # Not persistent: torchvision's state dicts hold no such entries.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor, image_sizes: list[ImageSize]) -> ImageList:
        """Normalise; the padding becomes 0 *after* that, as in the training of the published weights.

        Args:
            images: uint8 (B, 3, H, W) RGB, padded at the right and bottom.
            image_sizes: (height, width) px of each without the padding.

        Returns:
            Float (B, 3, H, W), channels_last, and the sizes.
        """
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        pixels = images.to(mean.dtype, memory_format=torch.channels_last, copy=True).div_(255).sub_(mean).div_(std)
        for image, (height, width) in zip(pixels, image_sizes, strict=True):
            image[:, height:] = 0
            image[:, :, width:] = 0
        return ImageList(pixels, image_sizes)


def build_normalize(backbone: object) -> Normalize:
    """Build the normalisation of a backbone: its own, or that of ImageNet."""
    return Normalize(backbone.mean, backbone.std) if isinstance(backbone, HasPixelStatistics) else Normalize()
