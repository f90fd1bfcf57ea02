"""torchvision's ResNet with frozen norms folded into the convolutions in front of them.

A norm whose statistics and weights never change scales and shifts each channel, which the convolution can do itself.
That saves a pass over the feature map and the copy of it that is kept for the backward pass. Names, weights and, up to
rounding, results are torchvision's.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck
from torchvision.models.resnet import ResNet
from torchvision.ops import FrozenBatchNorm2d

from instseg.models.names import STRIDES


def normed(convolution: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """Compute ``norm(convolution(x))``.

    Args:
        convolution: a convolution without bias.
        norm: the norm; a frozen one is folded into the weights of the convolution.
        x: (B, C, H, W).
    """
    if not isinstance(norm, FrozenBatchNorm2d):
        normalized: Tensor = norm(convolution(x))
        return normalized
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight, bias = convolution.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale
    return F.conv2d(x, weight, bias, convolution.stride, convolution.padding, convolution.dilation, convolution.groups)


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
