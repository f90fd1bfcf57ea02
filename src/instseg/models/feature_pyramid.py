"""The feature pyramid (Lin et al., 2017) on any backbone; parameter names are torchvision's."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from instseg.core.types import ImageSize
from instseg.models.backbones import build_backbone
from instseg.models.feature_backbone import FeatureBackbone
from instseg.models.normalize import Normalize, build_normalize
from instseg.models.norms import norm_layer


class FeaturePyramid(nn.Module):
    """A backbone and its pyramid: the levels "0" to "3" with the strides of the stages, and "pool" with twice the last.

    Args:
        body: the backbone.
        channels: of each level.
        norm: of the pyramid, one of ``NORMS``; None leaves it without normalisation, as torchvision's first Mask R-CNN.
    """

    def __init__(self, body: FeatureBackbone, channels: int, norm: str | None) -> None:
        super().__init__()
        self.body, self.out_channels = body, channels
        layer = norm_layer(norm) if norm else None
        self.fpn = FeaturePyramidNetwork(list(body.channels), channels, LastLevelMaxPool(), layer)

    def normalize(self) -> Normalize:
        """Build the normalisation of the images that the backbone expects."""
        return build_normalize(self.body)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return level -> (B, channels, H / stride, W / stride) of images (B, 3, H, W)."""
        return self.levels(self.body(images))

    def levels(self, stages: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the levels from the stages of the backbone."""
        levels: dict[str, Tensor] = self.fpn(OrderedDict((str(level), stage) for level, stage in enumerate(stages)))
        return levels


def build_pyramid(
    backbone: str | FeatureBackbone, norm: str, trainable_layers: int, channels: int, pyramid_norm: str | None
) -> FeaturePyramid:
    """Build a pyramid on one of our ResNets or on a backbone of the user's own.

    Args:
        backbone: one of ``BACKBONES``, or a network.
        norm: of a ResNet, one of ``NORMS``.
        trainable_layers: stages of a ResNet that are trained, from the last one.
        channels: of each level.
        pyramid_norm: of the pyramid, one of ``NORMS``, or None.
    """
    body = build_backbone(backbone, norm, trainable_layers) if isinstance(backbone, str) else backbone
    return FeaturePyramid(body, channels, pyramid_norm)


def mean_features(stage: Tensor, image_sizes: Sequence[ImageSize], stride: int) -> Tensor:
    """Return the mean of each channel over each image, its padding aside.

    Args:
        stage: (B, C, H / stride, W / stride).
        image_sizes: (height, width) px of each image without the padding.
        stride: px.

    Returns:
        float32 (B, C).
    """
    means = []
    for features, (height, width) in zip(stage.float(), image_sizes, strict=True):
        means.append(features[:, : math.ceil(height / stride), : math.ceil(width / stride)].mean(dim=(1, 2)))
    return torch.stack(means)
