"""torchvision's ResNet with frozen norms folded into the convolutions in front of them.

Names, weights and, up to rounding, results are torchvision's.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck
from torchvision.models.resnet import ResNet

from instseg.models.frozen_norms import normed
from instseg.models.names import STRIDES


class BasicBlock(TorchvisionBasicBlock):
    """Two 3x3 convolutions and the identity (He et al., 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / stride, W / stride) of (B, C', H, W)."""
        out = normed(self.conv2, self.bn2, self.relu(normed(self.conv1, self.bn1, x)))
        out += x if self.downsample is None else normed(self.downsample[0], self.downsample[1], x)
        activated: Tensor = self.relu(out)
        return activated


class Bottleneck(TorchvisionBottleneck):
    """A 3x3 convolution between two 1x1 convolutions, and the identity (He et al., 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / stride, W / stride) of (B, C', H, W)."""
        out = self.relu(normed(self.conv1, self.bn1, x))
        out = normed(self.conv3, self.bn3, self.relu(normed(self.conv2, self.bn2, out)))
        out += x if self.downsample is None else normed(self.downsample[0], self.downsample[1], x)
        activated: Tensor = self.relu(out)
        return activated


class Body(IntermediateLayerGetter):
    """The layers of a ResNet up to its last stage, as a ``FeatureBackbone``.

    Args:
        resnet: torchvision's, of any width.
    """

    def __init__(self, resnet: ResNet) -> None:
        super().__init__(resnet, {f"layer{stage}": str(stage) for stage in (1, 2, 3, 4)})
        self.channels, self.strides = [resnet.inplanes // 2**halved for halved in (3, 2, 1, 0)], STRIDES

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the map of each stage, (B, C, H / stride, W / stride), of images (B, 3, H, W)."""
        stages = []
        for name, module in self.items():
            if name == "conv1":
                x = normed(module, self["bn1"], x)
            elif name != "bn1":
                x = module(x)
            if name in self.return_layers:
                stages.append(x)
        return stages
