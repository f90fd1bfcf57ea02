"""The contract of a backbone from outside: anything else is an error before any work."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from instseg.core.errors import InstsegError
from instseg.models.feature_backbone import check_feature_backbone
from instseg.models.mask_rcnn import build_mask_rcnn


class Pooling(nn.Module):
    """A backbone without any arithmetic: the image, made smaller."""

    def __init__(self, channels: object = (3, 3, 3, 3), strides: object = (4, 8, 16, 32)) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        if channels is not None:
            self.channels = channels
        if strides is not None:
            self.strides = strides

    def forward(self, images: Tensor) -> object:
        return [nn.functional.avg_pool2d(self.norm(images), stride) for stride in (4, 8, 16, 32)]


class Mapped(Pooling):
    def forward(self, images: Tensor) -> object:
        return dict(enumerate(super().forward(images)))


class Reversed(Pooling):
    def forward(self, images: Tensor) -> object:
        return super().forward(images)[::-1]


class Turned(Pooling):
    def forward(self, images: Tensor) -> object:
        return [features.mT for features in super().forward(images)]


@pytest.mark.parametrize(
    ("built", "message"),
    [(Pooling(channels=None), r"model.backbone: expected .*FeatureBackbone\), found Pooling without channels$"),
     (Pooling(channels=None, strides=None), "found Pooling without channels and strides$"),
     (nn.Linear(1, 1), "found Linear without channels and strides$"),
     ({"width": 3}, "found dict$"), (3, "found int$"), (None, "found NoneType$"),
     (Pooling(strides=[2, 4, 8, 16]), r"model.backbone.strides: expected \[4, 8, 16, 32\], found \[2, 4, 8, 16\]$"),
     (Pooling(strides=[4, 8, 16]), r"model.backbone.strides: expected .* found \[4, 8, 16\]$"),
     (Pooling(strides=4), r"model.backbone.strides: expected .* found 4$"),
     (Pooling(channels=[3, 3, 3]), r"model.backbone.channels: expected 4 whole numbers from 1, found \[3, 3, 3\]$"),
     (Pooling(channels=[3, 3, 3, 0]), "model.backbone.channels: expected 4 whole numbers"),
     (Pooling(channels="3333"), "model.backbone.channels: expected 4 whole numbers from 1, found '3333'$"),
     (Pooling(channels=[3, 3, 3, 6]), r"model.backbone: expected forward .*\(1, 6, 2, 3\)\] .* .*\(1, 3, 2, 3\)\]$"),
     (Mapped(), "model.backbone: expected forward to return a list of maps .* found dict$"),
     (Reversed(), r"found \[\(1, 3, 2, 3\), .*"),
     (Turned(), r"found \[\(1, 3, 24, 16\), .*")],
)  # fmt: skip
def test_what_does_not_keep_to_the_contract_is_refused_with_expected_and_found(built: object, message: str) -> None:
    with pytest.raises(InstsegError, match=message):
        check_feature_backbone(built)


def test_the_trial_changes_neither_the_mode_nor_the_state_of_a_backbone() -> None:
    backbone = Pooling()
    backbone.norm.eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert check_feature_backbone(backbone) is backbone
    assert backbone.training and not backbone.norm.training
    torch.testing.assert_close(backbone.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weights": "coco"}, "model.weights: expected none, or the path .* found coco"),
     ({"weights": "imagenet"}, "model.weights: expected none, or the path .* found imagenet"),
     ({"trainable_layers": 3}, "model.trainable_layers: expected null, .* found 3")],
)  # fmt: skip
def test_options_that_are_about_our_resnets_are_refused_beside_another_backbone(options, message) -> None:
    with pytest.raises(InstsegError, match=message):
        build_mask_rcnn(2, backbone=Pooling(), **options)


@pytest.mark.parametrize("norm", ["bn", "gn"])
@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_a_training_can_start_from_the_weights_of_an_earlier_one_with_this_backbone(tmp_path, variant, norm) -> None:
    small = {"variant": variant, "fpn_channels": 16, "box": {"conv_channels": 8, "head_channels": 16}}
    trained = build_mask_rcnn(2, backbone=Pooling(), norm=norm, **small)
    torch.save(trained.state_dict(), tmp_path / "trained.pth")
    again = build_mask_rcnn(2, backbone=Pooling(), weights=tmp_path / "trained.pth", **small)
    torch.testing.assert_close(again.state_dict(), trained.state_dict(), rtol=0, atol=0)
    assert again.weights_report is not None and again.weights_report.is_complete
