"""The contract of a backbone: a network of four stages, on which Mask R-CNN puts its feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from instseg.core.errors import InstsegError
from instseg.models.names import STRIDES
from instseg.models.state_dict import StateDict

PROBE_SIZE = (64, 96)  # height, width, px; different, so that a map with exchanged sides is noticed
CONTRACT = "a torch.nn.Module with channels, strides and forward (instseg.models.feature_backbone.FeatureBackbone)"


@runtime_checkable
class FeatureBackbone(Protocol):
    """A network from images to the feature maps of four stages. It is an ``nn.Module`` besides.

    It decides by itself which weights it starts from and which of its layers are trained (``requires_grad_``). Where
    its constructor has a parameter ``load``, this is False when the weights of a checkpoint follow. A
    ``PretrainedBackbone`` leaves both to the options of Mask R-CNN.
    """

    @property
    def channels(self) -> Sequence[int]:
        """Channels of the map of each stage, from the finest to the coarsest."""
        ...

    @property
    def strides(self) -> Sequence[int]:
        """Stride of each stage, px: 4, 8, 16, 32."""
        ...

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """Compute the maps; an ``nn.Module`` has this in ``forward``.

        Args:
            images: float (B, 3, H, W) RGB, normalised by its ``mean`` and ``std`` (``HasPixelStatistics``), else as
                for ImageNet; H and W are multiples of 32.

        Returns:
            Of each stage (B, channels, H / stride, W / stride), from the finest to the coarsest.
        """
        ...


@runtime_checkable
class HasPixelStatistics(Protocol):
    """A backbone whose images are normalised in its own way."""

    mean: Sequence[float]  # of each channel, for pixel values 0..1
    std: Sequence[float]  # the standard deviation of each


@runtime_checkable
class PretrainedBackbone(Protocol):
    """A ``FeatureBackbone`` of a library that publishes weights for it.

    ``model.weights=imagenet``, or the path of a file of the library, and ``model.trainable_layers`` are about it.

    Attributes:
        name: of the network, for messages.
        norm: of its layers, "auto", "frozen_bn" or "bn".
    """

    name: str
    norm: str

    def start(self, trainable_layers: int, is_pretrained: bool) -> None:
        """Freeze what is not trained.

        Args:
            trainable_layers: number of stages, from the last one, that are trained: 0 freezes all, 5 none.
            is_pretrained: weights are read, or those of a checkpoint that began with some.
        """
        ...

    def read_published(self) -> StateDict:
        """Return the weights that the library publishes, with its names."""
        ...

    def own_names(self, state: StateDict) -> StateDict:
        """Return the library's state dict with the names of this module, without the parts that it leaves out."""
        ...


def check_feature_backbone(built: object) -> FeatureBackbone:
    """Return a backbone after a trial with one small image.

    Args:
        built: what ``model.backbone`` builds.

    Raises:
        InstsegError: it does not keep to the contract; the message names key, expected and found.
    """
    if not isinstance(built, nn.Module) or not isinstance(built, FeatureBackbone):
        missing = [name for name in ("channels", "strides") if not hasattr(built, name)]
        without = f" without {' and '.join(missing)}" if isinstance(built, nn.Module) else ""
        raise InstsegError(f"model.backbone: expected {CONTRACT}, found {type(built).__name__}{without}")
    _check_numbers(built)
    _check_maps(built, try_small_image(built))
    return built


def _check_numbers(backbone: FeatureBackbone) -> None:
    strides, channels = backbone.strides, backbone.channels
    if not isinstance(strides, Sequence) or tuple(strides) != STRIDES:
        raise InstsegError(f"model.backbone.strides: expected {list(STRIDES)}, found {_shown(strides)}")
    are_counts = isinstance(channels, Sequence) and all(isinstance(count, int) and count > 0 for count in channels)
    if not are_counts or len(channels) != len(STRIDES):
        raise InstsegError(
            f"model.backbone.channels: expected {len(STRIDES)} whole numbers from 1, found {_shown(channels)}"
        )


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, Sequence) and not isinstance(value, str) else repr(value)


def try_small_image(network: nn.Module) -> object:
    """Return the output for one small image, in evaluation mode and without gradients; the modes stay as they are."""
    training = [module for module in network.modules() if module.training]
    try:
        with torch.no_grad():
            output: object = network.eval()(torch.zeros(1, 3, *PROBE_SIZE))
    finally:
        for module in training:
            module.training = True
    return output


def _check_maps(backbone: FeatureBackbone, maps: object) -> None:
    height, width = PROBE_SIZE
    expected = [
        (1, count, height // stride, width // stride)
        for count, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    are_tensors = isinstance(maps, list | tuple) and all(isinstance(part, Tensor) for part in maps)
    found = [tuple(part.shape) for part in maps] if isinstance(maps, list | tuple) and are_tensors else None
    if found != expected:
        raise InstsegError(
            f"model.backbone: expected forward to return a list of maps of shape {expected} for an image of "
            f"{height} x {width} px, found {type(maps).__name__ if found is None else found}"
        )
