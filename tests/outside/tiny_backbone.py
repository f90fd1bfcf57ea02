"""A backbone: four stages of plain convolutions, each at half of the resolution of the one before."""

from __future__ import annotations

from torch import Tensor, nn


class TinyBackbone(nn.Module):
    """Two convolutions a stage.

    Args:
        width: channels of the first stage; each further one has twice as many.
    """

    strides = (4, 8, 16, 32)

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.channels = [width, 2 * width, 4 * width, 8 * width]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1), nn.ReLU())
        before = [width, *self.channels[:-1]]
        self.stages = nn.ModuleList(map(stage, before, self.channels))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> the map of each stage: (B, channels, H / stride, W / stride)."""
        features, maps = self.stem(images), []
        for layers in self.stages:
            features = layers(features)
            maps.append(features)
        return maps


def stage(channels_in: int, channels: int) -> nn.Sequential:
    """Halve the resolution, then look once more."""
    halved = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
    return nn.Sequential(
        halved, nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()
    )
