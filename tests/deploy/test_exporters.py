"""Parity of the networks in every format: slow, by the size of the graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deploy_factories import CATEGORIES, FEW_ROIS, trained_model, untrained

from instseg.core.types import Image
from instseg.deploy.agreement import UNTRAINED
from instseg.deploy.early_check import check_export
from instseg.deploy.export import Comparison, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.trial_images import made_images, trial_images
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.models.torchvision_backbone import TorchvisionBackbone

pytestmark = pytest.mark.slow
NETWORKS = {
    "small": {"backbone": "resnet18_half", "variant": "v2", "norm": "bn", "fpn_channels": 64},
    "r50fpn": {"backbone": "resnet50"},
    "r50fpn_v2": {"backbone": "resnet50", "variant": "v2"},
    "mobilenet_fpn": {"backbone": TorchvisionBackbone("mobilenet_v2"), "variant": "v2", "norm": "bn"},
    "convnext_fpn": {"backbone": TorchvisionBackbone("convnext_tiny"), "variant": "v2"},
}
SIDES = [(20, 31), (33, 300), (500, 40)]
"""(height, width) px of images that lie far from the one that a network is traced with."""


def images_of_many_sizes() -> list[tuple[str, Image]]:
    """On an empty image an untrained network likes all places alike, and which of them are the best is rounding."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*sides, 3), dtype=np.uint8) for sides in SIDES]
    made = [(name, image) for name, image in trial_images(made_images(1), 96, 128) if not name.startswith("empty")]
    return [*made[:-1], *((str(image.shape), image) for image in noise)]


EXPORTED = [(name, "onnx") for name in NETWORKS] + [("r50fpn_v2", "openvino")]
"""By torch.export in ``test_torch_export``."""


@pytest.mark.parametrize(("name", "format_name"), EXPORTED)
def test_every_network_is_exported_as_it_is(name, format_name, tmp_path):
    torch.manual_seed(0)
    model = build_mask_rcnn(CATEGORIES, rpn=FEW_ROIS, box={"detections_per_image": 20}, **NETWORKS[name]).eval()
    path = tmp_path / f"model{FORMATS[format_name].suffix}"
    comparison = Comparison(images_of_many_sizes(), limits=UNTRAINED)
    exported = export(trained_model(model), format_name, path, comparison)
    assert sum(agreement.num_instances for agreement in exported.agreements) > 0


@pytest.mark.parametrize("format_name", ["onnx", "openvino"])
def test_a_network_that_finds_nothing_is_exported_too(format_name, tmp_path):
    model = untrained(box={"score_threshold": 0.999, "num_convs": 1, "conv_channels": 8, "head_channels": 16})
    path = tmp_path / f"model{FORMATS[format_name].suffix}"
    exported = export(trained_model(model), format_name, path, Comparison(images_of_many_sizes()[:2]))
    assert [agreement.num_instances for agreement in exported.agreements] == [0, 0]


@pytest.mark.parametrize("format_name", ["onnx", "openvino"])
def test_before_a_training_a_format_can_be_checked(format_name):
    torch.manual_seed(0)
    check_export(untrained(), format_name, 96, 128)
