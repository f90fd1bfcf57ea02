"""Backbones of torchvision and timm: their features are the library's own, and so are the weights that they read."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from factories import SHARED
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, get_model
from torchvision.models.feature_extraction import create_feature_extractor

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.models.backbone_stages import Probe
from instseg.models.frozen_norms import FoldedNorm
from instseg.models.known import build_network
from instseg.models.library_backbone import LibraryBackbone
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.mask_rcnn_options import BUILDER
from instseg.models.normalize import build_normalize
from instseg.models.timm_backbone import TimmBackbone
from instseg.models.torchvision_backbone import TorchvisionBackbone

REAL_WEIGHTS = SHARED.parent / "weights" / "mobilenet_v2_features_imagenet.pth"
needs_real_weights = pytest.mark.skipif(not REAL_WEIGHTS.is_file(), reason="the shared ImageNet weights are not here")
SMALL: dict[str, Any] = {
    "variant": "v2", "norm": "bn", "fpn_channels": 16, "mask": {"num_convs": 1, "channels": 8},
    "box": {"num_convs": 1, "conv_channels": 8, "head_channels": 16},
}  # fmt: skip
STAGES = {  # the modules whose outputs are the maps: as torchvision's own detectors have them, or timm's description
    "mobilenet_v2": ["features.3", "features.6", "features.13", "features.18"],
    "mobilenet_v3_small": ["features.1", "features.3", "features.8", "features.12"],
    "efficientnet_b0": ["features.2", "features.3", "features.5", "features.8"],
    "regnet_y_400mf": ["trunk_output.block1", "trunk_output.block2", "trunk_output.block3", "trunk_output.block4"],
    "convnext_tiny": ["features.1", "features.3", "features.5", "features.7"],
    "swin_t": ["features.1", "features.3", "features.5", "features.7"],
    "resnet152": ["layer1", "layer2", "layer3", "layer4"],
}
QUICK = ("mobilenet_v2",)
OF_TIMM: dict[str, dict[str, Any]] = {
    "test_resnet": {}, "test_convnext": {}, "efficientnet_lite0": {}, "mobilenetv3_small_050": {},
    "swin_tiny_patch4_window7_224": {"strict_img_size": False},
}  # fmt: skip


def mobilenet(**options: str) -> TorchvisionBackbone:
    return TorchvisionBackbone("mobilenet_v2", **options)


def of_timm() -> TimmBackbone:
    return TimmBackbone("test_resnet")


BACKBONES = (mobilenet, of_timm)


def slow_but(quick: tuple[str, ...], names: Any) -> list[Any]:
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def stirred(network: nn.Module) -> nn.Module:
    """With statistics that differ from layer to layer, as those of trained weights do."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return network.eval()


def pictures() -> Tensor:
    return torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))


def body_of(model: MaskRCNN) -> LibraryBackbone:
    body = model.backbone.body
    assert isinstance(body, LibraryBackbone)
    return body


def built(backbone: nn.Module, weights: str | Path, **options: Any) -> MaskRCNN:
    return build_mask_rcnn(2, backbone=backbone, weights=weights, **SMALL, **options)


@pytest.mark.parametrize("name", slow_but(QUICK, STAGES))
def test_features_are_those_of_the_classifier_whose_file_is_read(name: str, tmp_path: Path) -> None:
    classifier = stirred(get_model(name, weights=None))
    torch.save(classifier.state_dict(), tmp_path / "library.pth")
    body = body_of(built(TorchvisionBackbone(name), tmp_path / "library.pth").eval())
    with torch.no_grad():
        expected = create_feature_extractor(classifier, STAGES[name])(pictures())
        found = body(pictures())
    for module, features in zip(STAGES[name], found, strict=True):
        wanted = expected[module] if expected[module].shape[-1] < 64 else expected[module].permute(0, 3, 1, 2)
        torch.testing.assert_close(features, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert body.channels == [features.shape[1] for features in found]


@pytest.mark.parametrize("name", slow_but(("test_resnet", "test_convnext"), OF_TIMM))
def test_features_are_those_of_timm_whose_file_is_read(name: str, tmp_path: Path) -> None:
    whole = stirred(timm.create_model(name, **OF_TIMM[name]))
    torch.save(whole.state_dict(), tmp_path / "library.pth")
    body = body_of(built(TimmBackbone(name, options=OF_TIMM[name]), tmp_path / "library.pth").eval())
    _, expected = whole.forward_intermediates(pictures())
    by_stride = {96 // features.shape[2]: features for features in expected}
    with torch.no_grad():
        for stride, features in zip(body.strides, body(pictures()), strict=True):
            torch.testing.assert_close(features, by_stride[stride], rtol=1e-4, atol=1e-4)


@needs_real_weights
def test_the_real_imagenet_weights_are_read_strictly_by_path_and_out_of_the_cache_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(MobileNet_V2_Weights.IMAGENET1K_V1.value, "url", "https://nowhere.invalid/mobilenet_v2.pth")
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    shutil.copy(REAL_WEIGHTS, tmp_path / "hub/checkpoints/mobilenet_v2.pth")
    by_path, cached = (built(TorchvisionBackbone("mobilenet_v2"), weights) for weights in (REAL_WEIGHTS, "imagenet"))
    published = torch.load(REAL_WEIGHTS, weights_only=True)
    for model in (by_path, cached):
        own = body_of(model).network.state_dict()
        assert own.keys() == {name for name in published if "num_batches" not in name}
        assert all(torch.equal(value, published[name]) for name, value in own.items())
        assert model.weights_report is not None
        assert {name.split(".")[1] for name in model.weights_report.loaded} == {"body"}


@pytest.mark.parametrize("build", BACKBONES)
def test_a_file_of_another_network_is_refused_with_its_name_what_was_expected_and_what_found(build, tmp_path):
    backbone = build()
    state = backbone.network.state_dict()
    first, *others = (name for name in state if "weight" in name)
    broken = {name: value for name, value in state.items() if name != others[0]} | {"strange.weight": torch.ones(2)}
    broken[first] = torch.ones(1, 2, 3, 3)
    torch.save(broken, tmp_path / "other.pth")
    with pytest.raises(InstsegError) as refused:
        built(backbone, tmp_path / "other.pth")
    message, place = str(refused.value), "backbone.body.network."
    assert f"{tmp_path}/other.pth' do not fit the model: expected the weights of {backbone.name}" in message
    assert f"{place}{first}: expected {tuple(state[first].shape)}, found (1, 2, 3, 3)" in message
    assert f"{place}{others[0]}: expected by the model, not in the file" in message
    assert f"{place}strange.weight: in the file, unknown to the model" in message


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("layers", "trained"), [(0, set()), (1, {4}), (4, {1, 2, 3, 4}), (5, {0, 1, 2, 3, 4})])
def test_stages_are_trained_from_the_last_one(backbone, layers, trained):
    backbone = backbone()
    backbone.start(layers, is_pretrained=False)
    stages: dict[bool, set[int]] = {True: set(), False: set()}
    for name, parameter in backbone.network.named_parameters():
        stages[parameter.requires_grad].add(backbone._trained_from[name])
    assert stages == {True: trained, False: {0, 1, 2, 3, 4} - trained}


def test_the_stem_is_the_first_convolution_and_its_norm():
    stem = [name for name, stage in mobilenet()._trained_from.items() if stage == 0]
    assert stem == ["features.0.0.weight", "features.0.1.weight", "features.0.1.bias"]


@pytest.mark.parametrize(
    ("norm", "is_pretrained", "kind"),
    [("auto", True, FoldedNorm), ("auto", False, nn.BatchNorm2d), ("bn", True, nn.BatchNorm2d)],
)
def test_norms_are_frozen_and_folded_with_weights_and_trained_without(norm, is_pretrained, kind):
    backbone = mobilenet(norm=norm)
    backbone.start(5, is_pretrained)
    assert sum(isinstance(layer, kind) for layer in backbone.modules()) == 52


def test_frozen_stages_are_folded_once_and_trained_ones_in_every_step():
    backbone = mobilenet()
    backbone.start(1, is_pretrained=True)
    first, last = (backbone.network.get_submodule(f"features.{number}.0") for number in (0, 18))
    norms = [backbone.network.get_submodule(f"features.{number}.1") for number in (0, 18)]
    before = [norm.folded(layer.weight)[0] for layer, norm in zip((first, last), norms, strict=True)]
    backbone(pictures())
    assert norms[0].folded(first.weight)[0] is before[0]
    assert norms[1].folded(last.weight)[0] is not before[1]
    norms[0].running_var.mul_(4)  # as other weights do that are loaded
    torch.testing.assert_close(norms[0].folded(first.weight)[0], before[0] / 2, rtol=1e-3, atol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_images_are_normalised_as_those_that_the_weights_were_trained_on(backbone):
    mean, std = (0.5, 0.5) if backbone is of_timm else (0.485, 0.229)
    normalize = build_normalize(backbone())
    assert float(normalize.mean[0]) == pytest.approx(mean) and float(normalize.std[0]) == pytest.approx(std)


@pytest.mark.parametrize(
    ("target", "name"),
    [("torchvision_backbone.TorchvisionBackbone", "mobilenet_v2"), ("timm_backbone.TimmBackbone", "test_resnet")],
)
def test_a_network_is_rebuilt_from_its_config_where_its_first_weights_are_gone(target, name, tmp_path):
    node = {"_target_": BUILDER, "backbone": {"_target_": f"instseg.models.{target}", "name": name}, **SMALL}
    first = build_network(node | {"weights": "none"}, Categories(("cup", "pen")), {}, "file", load=True)
    torch.save(first.state_dict(), tmp_path / "trained.pth")
    frozen = build_network(
        node | {"weights": str(tmp_path / "trained.pth")}, Categories(("cup", "pen")), {}, "file", load=True
    )
    again = build_network(node | {"weights": "gone.pth"}, Categories(("cup", "pen")), {}, "file", load=False)
    again.load_state_dict(frozen.state_dict())


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [(lambda: TorchvisionBackbone("mobilnet_v2"), {}, "'mobilnet_v2': torchvision has no .* mean mobilenet_v2"),
     (lambda: mobilenet(norm="gn"), {}, "choose one of auto, frozen_bn, bn"),
     (mobilenet, {"weights": "coco"}, "expected imagenet, none, .* found coco"),
     (lambda: mobilenet(norm="frozen_bn"), {"weights": "none"}, "weights=none has none"),
     (mobilenet, {"weights": "/no.pth"}, "model.weights='/no.pth': no such file"),
     (lambda: TimmBackbone("resnet1"), {}, "'resnet1': timm has no such network; did you mean resnet1"),
     (lambda: TimmBackbone("test_resnet", options={"depth": 1}), {}, "test_resnet does not take them: .*depth"),
     (lambda: TimmBackbone("test_vit"), {}, "for images of any size|strides")],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(backbone, options, message):
    with pytest.raises(InstsegError, match=message):
        build_mask_rcnn(2, backbone=backbone(), **SMALL, **options)


def test_a_network_of_other_strides_or_for_one_size_of_images_is_refused():
    halves = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(4)))
    with pytest.raises(InstsegError, match=r"name=x: expected .* strides \[4, 8, 16, 32\], found \[2, 4, 8, 16\]"):
        Probe(halves, "name=x").stages()
    with pytest.raises(InstsegError, match=r"name=x: expected a network for images of any size, .* 64 x 96 px: mat1"):
        Probe(nn.Linear(7, 1), "name=x")


def test_without_timm_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InstsegError, match=r'timm is not installed: pip install "instseg\[timm\]"'):
        TimmBackbone("test_resnet")
