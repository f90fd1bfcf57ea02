"""The model from outside: what it takes, what it gives, what its options do and refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Target
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.mask_rcnn_options import LOSSES
from instseg.models.names import BACKBONES
from instseg.models.normalize import Normalize

SMALL: dict[str, Any] = {
    "backbone": "resnet18_half",
    "fpn_channels": 32,
    "rpn": {
        "pre_nms_top_n_train": 100,
        "post_nms_top_n_train": 50,
        "pre_nms_top_n_test": 100,
        "post_nms_top_n_test": 50,
    },
    "box": {"head_channels": 64, "conv_channels": 32, "batch_size_per_image": 32},
    "mask": {"num_convs": 2, "channels": 32},
}
SIZES = [(96, 128), (80, 100)]


def small_model(**options: Any) -> MaskRCNN:
    torch.manual_seed(0)
    return build_mask_rcnn(3, **{**SMALL, **options})


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def target(boxes: list[list[float]]) -> Target:
    n = len(boxes)
    labels = torch.arange(n) % 3 + 1
    return Target(torch.tensor(boxes).reshape(n, 4), labels, torch.ones(n, 112, 112, dtype=torch.uint8))


def targets() -> list[Target]:
    return [target([[10.0, 10.0, 60.0, 70.0], [50.0, 30.0, 120.0, 90.0]]), target([[5.0, 5.0, 40.0, 60.0]])]


@pytest.mark.parametrize("variant", ["v1", "v2"])
@pytest.mark.parametrize("norm", ["gn", "bn", "sync_bn"])
def test_training_gives_losses_and_every_parameter_a_gradient(variant: str, norm: str) -> None:
    model = small_model(variant=variant, norm=norm)
    losses, detections = model(pictures(), SIZES, targets())
    assert losses.keys() == set(LOSSES) and detections == []
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_a_batch_without_any_instance_has_finite_losses_and_keeps_every_parameter_in_the_graph(variant: str) -> None:
    model = small_model(variant=variant, norm="bn")
    losses, _ = model(pictures(), SIZES, [target([]), target([])])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["loss_mask"] == 0 and losses["loss_box_reg"] == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(value.isfinite().all() for value in model.state_dict().values())  # running statistics too


def test_an_image_without_instances_beside_one_with_some_is_background() -> None:
    losses, _ = small_model()(pictures(), SIZES, [targets()[0], target([])])
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())


def test_evaluation_gives_detections_in_the_network_frame() -> None:
    with torch.no_grad():
        losses, detections = small_model().eval()(pictures(), SIZES)
    assert losses == {} and len(detections) == 2
    for found, (height, width) in zip(detections, SIZES, strict=True):
        n = len(found.labels)
        assert n > 0 and found.boxes.shape == (n, 4) and found.mask_probs.shape == (n, 28, 28)
        assert found.boxes.min() >= 0 and (found.boxes[:, 2:] <= torch.tensor([width, height])).all()
        assert found.labels.min() >= 1 and found.labels.max() <= 3
        assert (found.scores.diff() <= 0).all()
        assert found.mask_probs.min() >= 0 and found.mask_probs.max() <= 1


def test_evaluation_with_targets_gives_the_same_detections_and_losses_too() -> None:
    model = small_model().eval()
    with torch.no_grad():
        _, plain = model(pictures(), SIZES)
        losses, scored = model(pictures(), SIZES, targets())
    assert losses.keys() == set(LOSSES)
    for a, b in zip(plain, scored, strict=True):
        torch.testing.assert_close(a.boxes, b.boxes)
        torch.testing.assert_close(a.mask_probs, b.mask_probs)


def test_validation_losses_repeat_and_leave_the_random_state_alone() -> None:
    model = small_model().eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        first, _ = model(pictures(), SIZES, targets())
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(123)
        second, _ = model(pictures(), SIZES, targets())
    assert {name: float(loss) for name, loss in first.items()} == {name: float(loss) for name, loss in second.items()}


def test_after_evaluation_training_draws_at_random_again() -> None:
    model = small_model()
    model.eval()(pictures(), SIZES, targets())
    model.train()
    state = torch.get_rng_state()
    model(pictures(), SIZES, targets())
    assert not torch.equal(torch.get_rng_state(), state)


def test_training_without_targets_is_refused() -> None:
    with pytest.raises(ValueError, match="targets"):
        small_model()(pictures(), SIZES)


def test_the_padding_is_zero_after_normalisation_and_the_layout_channels_last() -> None:
    batch = Normalize()(torch.full((1, 3, 32, 64), 255, dtype=torch.uint8), [(20, 40)]).tensors
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(batch[0, :, :20, :40], expected.view(3, 1, 1).expand(3, 20, 40))
    assert batch[0, :, 20:].abs().max() == 0 and batch[0, :, :, 40:].abs().max() == 0
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_box_masks_of_any_size_will_do() -> None:
    small = [Target(t.boxes, t.labels, t.box_masks[:, :56, :56]) for t in targets()]
    losses, _ = small_model()(pictures(), SIZES, small)
    assert losses["loss_mask"].isfinite()


def test_bfloat16_autocast_trains_with_losses_near_those_in_float32() -> None:
    model = small_model().eval()
    with torch.no_grad():
        exact, _ = model(pictures(), SIZES, targets())
        with torch.autocast("cpu", torch.bfloat16):
            rough, detections = model(pictures(), SIZES, targets())
    assert detections[0].boxes.dtype == torch.float32
    assert all(abs(rough[name] - exact[name]) < 0.1 * exact[name] + 0.02 for name in LOSSES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_losses_and_detections_are_those_of_the_cpu_and_its_random_state_stays() -> None:
    model = small_model().eval()
    with torch.no_grad():
        expected, found = model(pictures(), SIZES, targets())
        model.cuda()
        state = torch.cuda.get_rng_state()
        losses, detections = model(pictures().cuda(), SIZES, [target.to("cuda") for target in targets()])
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert losses.keys() == expected.keys() and losses["loss_mask"].is_cuda
    assert all(abs(losses[name].item() - expected[name].item()) < 0.2 * expected[name].item() for name in LOSSES)
    assert len(detections[0].labels) == pytest.approx(len(found[0].labels), abs=5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_builds_and_can_be_made_narrow(backbone: str) -> None:
    with torch.device("meta"):  # all but the numbers
        model = build_mask_rcnn(Categories(("a", "b")), **{**SMALL, "backbone": backbone})
    assert model.backbone.out_channels == 32
    assert model.roi_heads.box_predictor.cls_score.out_features == 3
    assert model.roi_heads.mask_predictor.mask_fcn_logits.out_channels == 3


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({"weights": "none"}, "gn"),
        ({"weights": "imagenet", "backbone": "resnet18"}, "frozen_bn"),
        ({"weights": "imagenet", "backbone": "resnet18", "variant": "v2"}, "bn"),
        ({"weights": "coco", "backbone": "resnet50"}, "frozen_bn"),
        ({"weights": "coco", "backbone": "resnet50", "variant": "v2"}, "bn"),
    ],
)
def test_the_norm_follows_the_weights(options: dict[str, Any], norm: str) -> None:
    with torch.device("meta"):
        model = small_model(load=False, **options)
    kinds = {"gn": nn.GroupNorm, "frozen_bn": FrozenBatchNorm2d, "bn": nn.BatchNorm2d}
    assert model.norm == norm
    assert isinstance(model.backbone.body.bn1, kinds[norm])
    assert model.weights_report is None


@pytest.mark.parametrize(("trainable_layers", "trained"), [(0, set()), (2, {"layer4", "layer3"}), (None, None)])
def test_trainable_layers_count_from_the_last_stage(trainable_layers: int | None, trained: set[str] | None) -> None:
    with torch.device("meta"):
        model = small_model(backbone="resnet18", weights="imagenet", load=False, trainable_layers=trainable_layers)
    names = {name.split(".")[0] for name, p in model.backbone.body.named_parameters() if p.requires_grad}
    assert names == ({"layer4", "layer3", "layer2"} if trained is None else trained)


def test_options_reach_the_parts_they_name() -> None:
    model = small_model(
        anchors={"sizes": [8, 16, 32, [64], 128], "ratios": [1.0, 2.0]},
        rpn={"nms_threshold": 0.6, "batch_size_per_image": 64},
        box={"score_threshold": 0.2, "nms_threshold": 0.4, "detections_per_image": 7, "head_channels": 32},
        mask={"size": 14, "channels": 16, "num_convs": 1},
    )
    assert model.rpn.anchor_generator.sizes == ((8,), (16,), (32,), (64,), (128,))
    assert model.rpn.head.cls_logits.out_channels == 2
    assert model.rpn.nms_thresh == 0.6 and model.rpn.fg_bg_sampler.batch_size_per_image == 64
    heads = model.roi_heads
    assert (heads.score_thresh, heads.nms_thresh, heads.detections_per_img) == (0.2, 0.4, 7)
    with torch.no_grad():
        _, detections = model.eval()(pictures(), SIZES)
    assert detections[0].mask_probs.shape[1:] == (14, 14) and len(detections[0].labels) <= 7


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"backbone": "resnet19"}, "model.backbone='resnet19'.*resnet18"),
    ({"variant": "v3"}, "model.variant='v3'.*v1, v2"),
    ({"norm": "batch"}, "model.norm='batch'.*frozen_bn"),
    ({"norm": "frozen_bn"}, "model.norm=frozen_bn.*model.weights=none"),
    ({"trainable_layers": 3}, "model.trainable_layers=3.*freeze random layers"),
    ({"trainable_layers": 6, "backbone": "resnet18", "weights": "imagenet"}, "model.trainable_layers=6"),
    ({"fpn_channels": 0}, "model.fpn_channels=0"),
    ({"backbone": "resnet18", "weights": "coco"}, "model.weights=coco with model.backbone=resnet18.*resnet50"),
    (
        {"backbone": "resnet18", "weights": "imagenet", "norm": "gn"},
        "model.norm=gn does not go with model.weights=imagenet",
    ),
    (
        {"backbone": "resnet18", "weights": "imagenet", "norm": "frozen_bn", "variant": "v2"},
        "heads that model.weights=imagenet does not hold",
    ),
    ({"weights": "imagenet", "backbone": "resnet18_half"}, "model.weights=imagenet: resnet18_half has none"),
    ({"weights": "cocoo"}, "model.weights='cocoo': no such file"),
    ({"box": {"score_treshold": 0.1}}, "model.box.score_treshold.*did you mean model.box.score_threshold"),
    ({"box": {"nms_threshold": "high"}}, "model.box.nms_threshold=high: expected a number from 0 to 1"),
    ({"rpn": {"post_nms_top_n_test": 2.5}}, "model.rpn.post_nms_top_n_test=2.5: expected a whole number"),
    ({"rpn": {"fg_iou": 7}}, "model.rpn.fg_iou=7: expected a number from 0 to 1"),
    ({"anchors": {"sizes": 32}}, "model.anchors.sizes=32: expected a list"),
    ({"anchors": {"sizes": [32, 64]}}, "model.anchors.sizes.*expected 5"),
    ({"mask": {"size": 27}}, "model.mask.size=27 must be 2 or more and even"),
    ({"mask": {"size": 0}}, "model.mask.size=0"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_is_refused_with_what_was_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InstsegError, match=message):
        small_model(**options)


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_the_same_is_refused_by_a_check_that_builds_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InstsegError, match=message):
        build_mask_rcnn.check({**SMALL, **options})


def test_the_check_knows_the_keys_and_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    build_mask_rcnn.check({})
    build_mask_rcnn.check(
        {"backbone": "resnet50", "weights": "coco", "trainable_layers": None, "box": {"num_convs": None}}
    )
    build_mask_rcnn.check({"weights": "https://example.org/mine.pth"})
    with pytest.raises(InstsegError, match=r"model\.backbon is no option; did you mean model.backbone"):
        build_mask_rcnn.check({"backbon": "resnet18"})


def test_without_the_file_its_norm_has_to_be_named() -> None:
    with pytest.raises(InstsegError, match="name the norm"):
        small_model(weights="my.ckpt", load=False)


def test_compiling_is_asked_for_and_renames_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda call, **options: call)  # the compiler takes seconds to import
    model = small_model()
    names = list(model.state_dict())
    model.compile_dense_part()
    assert list(model.state_dict()) == names
    compiled = [name for name, module in model.named_modules() if module._compiled_call_impl is not None]
    assert compiled == ["backbone", "rpn.head"]
