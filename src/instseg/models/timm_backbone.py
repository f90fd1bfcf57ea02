"""Backbones out of timm, the PyTorch image models of Hugging Face: https://github.com/huggingface/pytorch-image-models."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from instseg.core.errors import InstsegError
from instseg.models.backbone_stages import Probe, check_strides, map_of
from instseg.models.library_backbone import LibraryBackbone
from instseg.models.names import STRIDES
from instseg.models.state_dict import StateDict
from instseg.models.weight_downloads import WeightsUnavailableError

Pixels = tuple[Sequence[float], Sequence[float]]


class FeatureInfo(Protocol):
    """timm's description of the feature maps of a network."""

    def reduction(self) -> Sequence[int]:
        """Return the stride of each map, px."""
        ...

    def module_name(self) -> Sequence[str]:
        """Return the module that computes each map, by its name in the classifier."""
        ...


class TimmBackbone(LibraryBackbone):
    """The four stages of any network of timm that has strides 4, 8, 16 and 32.

    Args:
        name: of the network: efficientnet_lite0, convnext_atto, mobilenetv4_conv_small, …; a tag chooses its weights
            (resnet18.tv_in1k).
        norm: "frozen_bn" keeps the statistics of the weights, "bn" trains them; "auto" freezes those of weights.
        options: further keywords of ``timm.create_model``, such as {"strict_img_size": False} for Swin.
    """

    def __init__(self, name: str, norm: str = "auto", options: Mapping[str, object] | None = None) -> None:
        what, self._options = f"model.backbone.name={name}", dict(options or {})
        network = create(name, self._options, features_only=True)
        info = cast("FeatureInfo", network.feature_info)
        last = {stride: index for index, stride in enumerate(info.reduction())}
        check_strides(last, what)
        chosen = [last[stride] for stride in STRIDES]
        probe = Probe(network, what)
        ends = [_place(network, info.module_name()[index]) for index in chosen]
        maps = cast("Sequence[object]", probe.output)
        stages = [stage for index in chosen if (stage := map_of("", maps[index])) is not None]
        with torch.device("meta"):
            whole = create(name, self._options, features_only=False)
        library_names = names_of_features(whole.state_dict(), network.state_dict())
        trained_from = probe.stage_of_parameters(ends)
        super().__init__(name, norm, network, stages, trained_from, library_names, pixel_statistics(network))
        self._chosen = chosen

    def maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return the maps of the four stages in timm's layout."""
        maps: Sequence[Tensor] = self.network(images)
        return [maps[index] for index in self._chosen]

    def freeze_norms(self) -> None:
        """Replace all batch norms by timm's frozen ones."""
        self.network = load_timm().layers.freeze_batch_norm_2d(self.network)

    def read_published(self) -> StateDict:
        """Return the weights that timm publishes, after their download into the cache of Hugging Face if needed."""
        try:
            return create(self.name, self._options, pretrained=True).state_dict()
        except InstsegError:
            raise
        except Exception as error:  # of any of the packages that download and read it
            raise WeightsUnavailableError(
                f"timm's weights of {self.name} cannot be had: {str(error).splitlines()[0]}\nWays out: download them "
                "by hand and name their file"
            ) from error


def load_timm() -> ModuleType:
    """Import timm.

    Raises:
        InstsegError: it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise InstsegError('model.backbone: timm is not installed: pip install "instseg[timm]"') from error
    module: ModuleType = timm
    return module


def create(name: str, options: Mapping[str, object], **more: object) -> nn.Module:
    """Build a network of timm.

    Args:
        name: of the network, with or without the tag of its weights.
        options: keywords that the user chose.
        more: further keywords.

    Raises:
        InstsegError: timm has none of this name, or it does not have such options.
    """
    timm = load_timm()
    if not timm.is_model(name):
        close = difflib.get_close_matches(str(name), timm.list_models(), n=3)
        meant = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() has all"
        raise InstsegError(f"model.backbone.name={name!r}: timm has no such network; {meant}")
    try:
        network: nn.Module = timm.create_model(name, **options, **more)
    except TypeError as error:
        raise InstsegError(f"model.backbone.options={dict(options)}: {name} does not take them: {error}") from error
    return network


def pixel_statistics(network: nn.Module) -> Pixels:
    """Return mean and standard deviation of each channel that the weights of a network were trained with."""
    trained = cast("Mapping[str, Sequence[float]]", network.pretrained_cfg)
    return tuple(trained["mean"]), tuple(trained["std"])


def names_of_features(whole: StateDict, features: StateDict) -> dict[str, str | None]:
    """Return tensor of a network -> its name in timm's extractor of features, None where that has no such tensor.

    An extractor holds the network as ``model``, or its children, of which those in a ``Sequential`` move up one level:
    ``stages.0.blocks`` becomes ``stages_0.blocks``.

    Args:
        whole: of the network.
        features: of the extractor.
    """
    return {name: next((form for form in _forms(name) if form in features), None) for name in whole}


def _place(network: nn.Module, name: str) -> str:
    """Return the name in the extractor of a module of the network."""
    there = {found for found, _ in network.named_modules()}
    return next(form for form in _forms(name) if form in there)


def _forms(name: str) -> Iterator[str]:
    yield from (name, name.replace(".", "_", 1), f"model.{name}")
