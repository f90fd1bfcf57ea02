"""A backbone whose layers, weights and normalisation are those of another library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from instseg.core.errors import InstsegError
from instseg.models.backbone_stages import Stage
from instseg.models.names import LIBRARY_NORMS, STRIDES
from instseg.models.state_dict import StateDict


class LibraryBackbone(nn.Module, ABC):
    """The stages of a network of a library, as a ``PretrainedBackbone``.

    Args:
        name: of the network, for messages.
        norm: "auto", "frozen_bn" or "bn".
        network: returns the maps of ``stages``.
        stages: of strides 4, 8, 16 and 32.
        trained_from: parameter of ``network`` -> its stage, 0 to 4.
        library_names: tensor in the library's weights -> that of ``network``, None where it leaves it out.
        pixels: mean and standard deviation of each channel, for pixel values 0..1.
    """

    strides = STRIDES

    def __init__(
        self,
        name: str,
        norm: str,
        network: nn.Module,
        stages: Sequence[Stage],
        trained_from: Mapping[str, int],
        library_names: Mapping[str, str | None],
        pixels: tuple[Sequence[float], Sequence[float]],
    ) -> None:
        super().__init__()
        self.name, self.norm, self.network = name, check_norm(norm), network
        self.channels = [stage.channels for stage in stages]
        self.mean, self.std = pixels
        self._channels_last = [stage.channels_last for stage in stages]
        self._trained_from, self._library_names = trained_from, library_names

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the map of each stage, (B, C, H / stride, W / stride), of images (B, 3, H, W)."""
        maps = zip(self.maps(images), self._channels_last, strict=True)
        return [features.permute(0, 3, 1, 2) if is_last else features for features, is_last in maps]

    def start(self, trainable_layers: int, is_pretrained: bool) -> None:
        """Freeze the stages that are not trained, and the norms where their statistics are to stay.

        Args:
            trainable_layers: number of stages, from the last one, that are trained: 0 freezes all, 5 none.
            is_pretrained: weights are read, or those of a checkpoint that began with some.
        """
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self._trained_from[name] > len(STRIDES) - trainable_layers)
        if self.norm == "frozen_bn" or (self.norm == "auto" and is_pretrained):
            self.freeze_norms()

    def own_names(self, state: StateDict) -> StateDict:
        """Return the library's state dict with the names of this module, without the parts that it leaves out."""
        named = ((self._library_names.get(name, name), value) for name, value in state.items())
        return {f"network.{name}": value for name, value in named if name is not None}

    @abstractmethod
    def maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return the maps of the four stages in the library's own layout."""

    @abstractmethod
    def freeze_norms(self) -> None:
        """Replace all batch norms by frozen ones."""

    @abstractmethod
    def read_published(self) -> StateDict:
        """Return the weights that the library publishes, with its names, after their download if needed."""


def check_norm(norm: str) -> str:
    """Return ``model.backbone.norm``; InstsegError where there is no such norm."""
    if norm not in LIBRARY_NORMS:
        raise InstsegError(f"model.backbone.norm={norm!r} is not known; choose one of {', '.join(LIBRARY_NORMS)}")
    return norm
