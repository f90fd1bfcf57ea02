"""Parity of the networks and of both exporters of PyTorch: slow, by the size of the graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_factories import CATEGORIES, FEW_ROIS, trained_model, untrained
from onnxscript import opset18 as op

import instseg
from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.deploy.agreement import UNTRAINED, compare
from instseg.deploy.early_check import check_export
from instseg.deploy.export import Comparison, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.suppression import suppress_in_torch
from instseg.deploy.trial_images import made_images, trial_images
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.models.torchvision_backbone import TorchvisionBackbone
from instseg.prediction.exported import INPUT, OUTPUTS, ExportedNetwork, open_in_runtime
from instseg.prediction.torch_network import TorchNetwork

pytestmark = pytest.mark.slow
NETWORKS = {
    "small": {"backbone": "resnet18_half", "variant": "v2", "norm": "bn", "fpn_channels": 64},
    "r18fpn": {"backbone": "resnet18"},
    "r50fpn": {"backbone": "resnet50"},
    "r50fpn_v2": {"backbone": "resnet50", "variant": "v2"},
    "mobilenet_fpn": {"backbone": TorchvisionBackbone("mobilenet_v2"), "variant": "v2", "norm": "bn"},
    "convnext_fpn": {"backbone": TorchvisionBackbone("convnext_tiny"), "variant": "v2"},
}
BACKBONES = ("mobilenet_fpn", "convnext_fpn")
"""What differs from the other networks lies before the pyramid: one format stands for all."""
SIDES = [(20, 31), (33, 300), (500, 40)]
"""(height, width) px of images that lie far from the one that a network is traced with."""


def images_of_many_sizes() -> list[tuple[str, Image]]:
    """On an empty image an untrained network likes all places alike, and which of them are the best is rounding."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*sides, 3), dtype=np.uint8) for sides in SIDES]
    made = [(name, image) for name, image in trial_images(made_images(1), 96, 128) if not name.startswith("empty")]
    return [*made[:-1], *((str(image.shape), image) for image in noise)]


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        (name, format_name)
        for name in NETWORKS
        for format_name in FORMATS
        if name not in BACKBONES or format_name == "onnx"
    ],
)
def test_every_network_is_exported_as_it_is(name, format_name, tmp_path):
    torch.manual_seed(0)
    model = build_mask_rcnn(CATEGORIES, rpn=FEW_ROIS, box={"detections_per_image": 20}, **NETWORKS[name]).eval()
    path = tmp_path / f"model{FORMATS[format_name].suffix}"
    comparison = Comparison(images_of_many_sizes(), limits=UNTRAINED)
    exported = export(trained_model(model), format_name, path, comparison)
    assert sum(agreement.num_instances for agreement in exported.agreements) > 0


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_network_that_finds_nothing_is_exported_too(format_name, tmp_path):
    model = untrained(box={"score_threshold": 0.999, "num_convs": 1, "conv_channels": 8, "head_channels": 16})
    path = tmp_path / f"model{FORMATS[format_name].suffix}"
    exported = export(trained_model(model), format_name, path, Comparison(images_of_many_sizes()[:2]))
    assert [agreement.num_instances for agreement in exported.agreements] == [0, 0]


def test_a_file_of_torch_export_is_loaded_without_what_it_might_run(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt2"
    export(trained_model(), "torch_export", path, Comparison(images_of_many_sizes()))
    assert b"/src/instseg" not in path.read_bytes()  # no paths of this machine
    assert len(instseg.load(path).predict(made_images(1)[0], score_threshold=0.0)) == 20
    with pytest.raises(InstsegError, match=r"device=cuda: model\.pt2 was exported for the cpu"):
        instseg.load(path, device="cuda")
    foreign = tmp_path / "foreign.pt2"  # as torch.export.save writes it, the inputs of the example pickled
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(program, foreign)
    with pytest.raises(InstsegError, match=r"foreign\.pt2 is not loaded: .*found pickled inputs"):
        instseg.load(foreign)


@pytest.mark.parametrize("format_name", FORMATS)
def test_before_a_training_every_format_can_be_checked(format_name):
    torch.manual_seed(0)
    check_export(untrained(), format_name, 96, 128)


@torch.library.custom_op("instseg::suppress", mutates_args=())
def suppress(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, score_threshold: float, limit: int
) -> torch.Tensor:
    return suppress_in_torch(boxes, scores, iou_threshold, score_threshold, limit)


@suppress.register_fake
def _(boxes, scores, iou_threshold, score_threshold, limit):
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(),), dtype=torch.int64)


def written(boxes, scores, iou_threshold: float, score_threshold: float, limit: int):
    thresholds = (op.Constant(value_floats=[threshold]) for threshold in (iou_threshold, score_threshold))
    of_one_class = op.Unsqueeze(scores, op.Constant(value_ints=[1]))
    chosen = op.NonMaxSuppression(boxes, of_one_class, op.Constant(value_ints=[limit]), *thresholds)
    group, row = (op.Gather(chosen, op.Constant(value_int=column), axis=1) for column in (0, 2))
    return op.Add(op.Mul(group, op.Gather(op.Shape(scores), op.Constant(value_int=1), axis=0)), row)


def test_the_exporter_on_torch_export_gives_the_same_network(tmp_path: Path):
    torch.manual_seed(0)
    model = untrained()
    size = torch.export.Dim("height", max=20000), torch.export.Dim("width", max=20000)
    program = torch.export.export(
        model.as_graph(torch.ops.instseg.suppress).eval(),
        (torch.zeros(128, 160, 3, dtype=torch.uint8),),
        dynamic_shapes=({0: size[0], 1: size[1]},),
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    table = {torch.ops.instseg.suppress.default: written}
    torch.onnx.export(
        program,
        f=tmp_path / "model.onnx",
        custom_translation_table=table,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
    )
    found = ExportedNetwork(open_in_runtime(tmp_path / "model.onnx", "cpu"), CATEGORIES)
    reference = TorchNetwork(model, "cpu", "32-true")
    for name, image in list(trial_images(made_images(1), 96, 128))[:-1]:
        pair = [network.predict([image], [0], [image.shape[:2]])[0] for network in (reference, found)]
        assert compare(name, *pair).problem == ""
