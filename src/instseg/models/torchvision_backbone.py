"""Backbones out of torchvision's classifiers."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torchvision.models
from torch import Tensor, nn
from torch.fx import GraphModule
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models
from torchvision.models.feature_extraction import create_feature_extractor

from instseg.core.errors import InstsegError
from instseg.models.backbone_stages import Probe
from instseg.models.frozen_norms import freeze_norms
from instseg.models.library_backbone import LibraryBackbone
from instseg.models.state_dict import StateDict
from instseg.models.weight_downloads import download
from instseg.models.weight_files import load_state


class TorchvisionBackbone(LibraryBackbone):
    """The four stages of any of torchvision's classifiers that has strides 4, 8, 16 and 32.

    Args:
        name: of the classifier: mobilenet_v2, efficientnet_b0, convnext_tiny, regnet_y_400mf, swin_t, resnet152, …
        norm: "frozen_bn" keeps the statistics of the weights, "bn" trains them; "auto" freezes those of weights.
    """

    def __init__(self, name: str, norm: str = "auto") -> None:
        classifier = build_classifier(name)
        probe = Probe(classifier, f"model.backbone.name={name}")
        stages = probe.stages()
        modules = [stage.module for stage in stages]
        trained_from = probe.stage_of_parameters(modules)
        extractor = create_feature_extractor(classifier, {name: name for name in modules})
        used = extractor.state_dict().keys()
        library_names = {name: name if name in used else None for name in classifier.state_dict()}
        super().__init__(name, norm, extractor, stages, trained_from, library_names, pixel_statistics(name))
        self._modules_of_stages = modules

    def maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return the maps of the four stages in torchvision's layout."""
        by_module: dict[str, Tensor] = self.network(images)
        return [by_module[name] for name in self._modules_of_stages]

    def freeze_norms(self) -> None:
        """Replace all batch norms by frozen ones, folded into the convolutions in front of them."""
        assert isinstance(self.network, GraphModule)
        freeze_norms(self.network)

    def read_published(self) -> StateDict:
        """Return the ImageNet weights, after their download into the cache of torch.hub if needed."""
        url: str = published(self.name).url
        return load_state(download(url, is_published=True), url)


def build_classifier(name: str) -> nn.Module:
    """Build a classifier without weights.

    Raises:
        InstsegError: torchvision has none of this name.
    """
    known = list_models(module=torchvision.models)
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=3)
        meant = f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(known)}"
        raise InstsegError(f"model.backbone.name={name!r}: torchvision has no such classifier; {meant}")
    classifier: nn.Module = get_model(name, weights=None)
    return classifier


def published(name: str) -> WeightsEnum:
    """Return the first weights that torchvision publishes for a classifier: they are ImageNet's."""
    return next(iter(get_model_weights(name)))


def pixel_statistics(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and standard deviation of each channel that the weights of a classifier were trained with."""
    preset = published(name).transforms()
    return preset.mean, preset.std
