"""Frozen norms, folded into the convolutions in front of them.

A norm whose statistics and weights never change scales and shifts each channel, which the convolution can do itself.
That saves a pass over the feature map and the copy of it that is kept for the backward pass. Where the weights of the
convolution are frozen too, it is folded once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule
from torchvision.ops import FrozenBatchNorm2d

State = tuple[tuple[int, int], ...]
"""Address and version of each tensor: it changes with every change of their values."""


class FrozenNorm(FrozenBatchNorm2d):
    """torchvision's frozen norm, which a convolution can take in."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps)
        self._kept: tuple[State, tuple[Tensor, Tensor]] | None = None

    def folded(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the convolution that computes both.

        Args:
            weight: (O, C, h, w) of the convolution, which has no bias. What is folded into a frozen one is kept.
        """
        tensors = (weight, *self.buffers())
        if weight.requires_grad or torch.compiler.is_compiling() or any(map(torch.is_inference, tensors)):
            return self._fold(weight)
        state = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
        if self._kept is None or self._kept[0] != state:
            with torch.inference_mode(False), torch.no_grad():  # a tensor of inference mode could not be trained with
                self._kept = state, self._fold(weight)
        return self._kept[1]

    def _fold(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return weight * scale.view(-1, 1, 1, 1), self.bias - self.running_mean * scale


def normed(convolution: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """Compute ``norm(convolution(x))``.

    Args:
        convolution: a convolution without bias.
        norm: the norm; a frozen one is folded into the weights of the convolution.
        x: (B, C, H, W).
    """
    if not isinstance(norm, FrozenNorm):
        normalized: Tensor = norm(convolution(x))
        return normalized
    weight, bias = norm.folded(convolution.weight)
    return F.conv2d(x, weight, bias, convolution.stride, convolution.padding, convolution.dilation, convolution.groups)


class NormedConvolution(nn.Conv2d):
    """A convolution that computes the frozen norm behind it as well; its weight keeps its name.

    Args:
        convolution: the same without the norm, and without bias.
        norm: stands behind it, as a ``FoldedNorm``.
    """

    def __init__(self, convolution: nn.Conv2d, norm: FrozenNorm) -> None:
        super().__init__(convolution.in_channels, convolution.out_channels, 1, bias=False, device="meta")
        self.stride, self.padding, self.dilation = convolution.stride, convolution.padding, convolution.dilation
        self.groups, self.kernel_size = convolution.groups, convolution.kernel_size
        self.weight = convolution.weight
        self._norm = (norm,)  # in a tuple it is no child: it has its own place, and the names stay

    def forward(self, x: Tensor) -> Tensor:
        """Return norm(convolution(x)) of (B, C, H, W)."""
        return normed(self, self._norm[0], x)


class FoldedNorm(FrozenNorm):
    """A frozen norm that the convolution in front of it computes."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, which is normalised."""
        return x


def freeze_norms(network: GraphModule) -> None:
    """Replace batch norms by frozen ones, folded into the convolution in front wherever nothing else reads its output.

    Names and values in the state dict stay; the counters of batches go.
    """
    convolution_before = dict(_pairs(network))
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, norm in norms.items():
        place = convolution_before.get(name)
        convolution = network.get_submodule(place) if place else None
        if place is None or not isinstance(convolution, nn.Conv2d) or convolution.bias is not None:
            network.set_submodule(name, _frozen(norm, FrozenNorm))
            continue
        folded = _frozen(norm, FoldedNorm)
        network.set_submodule(name, folded)
        network.set_submodule(place, NormedConvolution(convolution, folded))


def _pairs(network: GraphModule) -> Iterator[tuple[str, str]]:
    """Yield the names of two modules, the first of which is the only one to read the output of the second."""
    for node in network.graph.nodes:
        if node.op != "call_module":
            continue
        module, before = network.get_submodule(node.target), node.all_input_nodes[0]
        if isinstance(module, nn.Sequential):  # called as a whole
            names = [f"{node.target}.{name}" for name, _ in module.named_children()]
            yield from zip(names[1:], names[:-1], strict=True)
        elif before.op == "call_module" and len(before.users) == 1:
            yield node.target, before.target


def _frozen(norm: nn.BatchNorm2d, kind: type[FrozenNorm]) -> FrozenNorm:
    frozen = kind(norm.num_features, norm.eps)
    frozen.load_state_dict(norm.state_dict())
    return frozen
