"""torchvision's ResNet with frozen norms folded into the convolutions in front of them.

A norm whose statistics and weights never change is a factor and a summand for each channel, which the convolution can
apply on its own: no pass over the picture, and no picture kept for the backward pass, is spent on it. Names, weights
and results, up to the last digits, are torchvision's.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck
from torchvision.ops import FrozenBatchNorm2d


def normed(convolution: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """``norm(convolution(x))`` for a convolution without a bias."""
    if not isinstance(norm, FrozenBatchNorm2d):
        normalized: Tensor = norm(convolution(x))
        return normalized
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight, bias = convolution.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale
    layout = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
    return F.conv2d(x, weight, bias, *layout)  # type: ignore[arg-type]


class BasicBlock(TorchvisionBasicBlock):  # type: ignore[misc]
    """Two 3x3 convolutions and the identity (He et al., 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        out = normed(self.conv2, self.bn2, self.relu(normed(self.conv1, self.bn1, x)))
        out += x if self.downsample is None else normed(self.downsample[0], self.downsample[1], x)
        activated: Tensor = self.relu(out)
        return activated


class Bottleneck(TorchvisionBottleneck):  # type: ignore[misc]
    """A 3x3 convolution between two of 1x1, and the identity (He et al., 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(normed(self.conv1, self.bn1, x))
        out = normed(self.conv3, self.bn3, self.relu(normed(self.conv2, self.bn2, out)))
        out += x if self.downsample is None else normed(self.downsample[0], self.downsample[1], x)
        activated: Tensor = self.relu(out)
        return activated


class Body(IntermediateLayerGetter):  # type: ignore[misc]
    """Those layers of a ResNet that lead to the stages in ``return_layers``, and what these give."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) -> name in ``return_layers`` -> (B, C, H / stride, W / stride)."""
        stages = OrderedDict[str, Tensor]()
        for name, module in self.items():
            if name == "conv1":
                x = normed(module, self["bn1"], x)
            elif name != "bn1":
                x = module(x)
            if name in self.return_layers:
                stages[self.return_layers[name]] = x
        return stages
