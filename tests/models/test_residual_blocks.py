"""Blocks and networks with folded norms compute what torchvision's do, and load its weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d

from instseg.models import residual_blocks


@pytest.mark.parametrize("norm", [FrozenBatchNorm2d, nn.BatchNorm2d])
@pytest.mark.parametrize("kind", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
def test_outputs_and_gradients_of_a_block_are_torchvisions(norm: type[nn.Module], kind: str, stride: int) -> None:
    torch.manual_seed(0)
    reference, ours = (getattr(module, kind) for module in (resnet, residual_blocks))
    width = 6
    channels = width * reference.expansion
    downsample = [nn.Sequential(nn.Conv2d(channels, channels, 1, stride, bias=False), norm(channels)) for _ in range(2)]
    blocks = [
        block(channels, width, stride, down if stride > 1 else None, norm_layer=norm).double()
        for block, down in zip((reference, ours), downsample, strict=True)
    ]
    for name, value in blocks[0].state_dict().items():
        if "bn" in name or "downsample.1" in name:
            value.copy_(torch.rand_like(value.double()) + 0.5)  # statistics that change something
    blocks[1].load_state_dict(blocks[0].state_dict(), strict=True)
    pictures = [torch.randn(2, channels, 9, 10, generator=torch.Generator().manual_seed(1)).double() for _ in range(2)]
    outputs = [block.eval()(x.requires_grad_()) for block, x in zip(blocks, pictures, strict=True)]
    torch.testing.assert_close(outputs[1], outputs[0])
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(pictures[1].grad, pictures[0].grad)
    for name, parameter in blocks[1].named_parameters():
        torch.testing.assert_close(parameter.grad, blocks[0].get_parameter(name).grad, msg=name)


@pytest.mark.parametrize("norm", [FrozenBatchNorm2d, nn.BatchNorm2d])
def test_all_stages_of_a_network_are_torchvisions(norm: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], norm_layer=norm).double().eval()
    for name, value in network.state_dict().items():
        if "bn1" in name:
            value.copy_(torch.rand_like(value.double()) + 0.5)
    stages = {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}
    x = torch.randn(1, 3, 40, 48, dtype=torch.float64)
    expected = IntermediateLayerGetter(network, stages)(x)
    body = residual_blocks.Body(network)
    torch.testing.assert_close(body(x), list(expected.values()))
    assert body.channels == [features.shape[1] for features in expected.values()]


def test_a_frozen_norm_keeps_no_picture_for_the_backward_pass() -> None:
    block = residual_blocks.Bottleneck(16, 4, norm_layer=FrozenBatchNorm2d)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.dim() == 4 and t.shape[-1] == 8) or t, lambda t: t
    ):
        block(torch.randn(1, 16, 8, 8))
    assert sum(kept) == 6  # what enters each of the three convolutions, and what each activation lets through
