"""ResNet at any depth, width and normalisation; parameter names are torchvision's."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import ResNet

from instseg.core.errors import InstsegError
from instseg.models.names import HALF, STAGES
from instseg.models.norms import NormLayer, norm_layer
from instseg.models.residual_blocks import BasicBlock, Body, Bottleneck

DEPTHS: dict[str, tuple[type[BasicBlock | Bottleneck], list[int]]] = {  # blocks of each stage
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
    "resnet101": (Bottleneck, [3, 4, 23, 3]),
}


class HalfResNet18(ResNet):
    """ResNet-18 with half the channels: a quarter of the arithmetic, for training from scratch on a CPU."""

    def __init__(self, norm: NormLayer) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], norm_layer=norm)
        self.conv1 = nn.Conv2d(3, 32, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = norm(32)

    def _make_layer(
        self, block: type[nn.Module], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        if planes == 64:
            self.inplanes = 32  # output channels of the stem, which is replaced above
        stage: nn.Sequential = super()._make_layer(block, planes // 2, blocks, stride, dilate)
        return stage


def build_backbone(name: str, norm: str, trainable_layers: int) -> Body:
    """Build a ResNet without its classifier.

    Args:
        name: one of ``BACKBONES``.
        norm: one of ``NORMS``.
        trainable_layers: number of stages, from the last one, that are trained: 0 freezes all, 5 none.

    Raises:
        InstsegError: ``trainable_layers`` is out of range.
    """
    if not 0 <= trainable_layers <= len(STAGES):
        raise InstsegError(f"trainable_layers={trainable_layers} must lie in 0..{len(STAGES)}")
    norms = norm_layer(norm)
    resnet = HalfResNet18(norms) if name == HALF else ResNet(*DEPTHS[name], norm_layer=norms)
    freeze_stages(resnet, trainable_layers)
    return Body(resnet)


def freeze_stages(body: nn.Module, trainable_layers: int) -> None:
    """Freeze all but the first ``trainable_layers`` of ``STAGES``; the first norm belongs to conv1.

    Args:
        body: the ResNet.
        trainable_layers: number of stages that stay trainable.
    """
    trained = STAGES[:trainable_layers] + (("bn1",) if trainable_layers == len(STAGES) else ())
    for name, parameter in body.named_parameters():
        if name.split(".")[0] not in trained:
            parameter.requires_grad_(False)
