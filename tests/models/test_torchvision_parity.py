"""Same weights, images and sampled proposals: torchvision's losses and detections.

In float64: in float32 a network that never learnt turns the last digit of a score into another order of proposals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sampled import first
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from instseg.core.box_masks import bitmask_to_box_mask
from instseg.core.masks import rle_to_bitmask
from instseg.core.types import Target
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.normalize import IMAGE_MEAN, IMAGE_STD
from instseg.models.postprocess import detections_to_predictions

NUM_CLASSES = 4
SIZES = [(96, 128), (96, 110)]  # the second image is padded
ARCHITECTURES = first(1, ["resnet18", "resnet50_v2"])  # basic blocks with v1 heads, bottlenecks with v2 heads
REFERENCE_OPTIONS: dict[str, Any] = {
    "min_size": 96,  # with these two torchvision leaves the size as it is
    "max_size": 128,
    "image_mean": torch.tensor(IMAGE_MEAN).tolist(),  # rounded to float32, as in this package's model
    "image_std": torch.tensor(IMAGE_STD).tolist(),
    "rpn_post_nms_top_n_train": 100,
    "rpn_post_nms_top_n_test": 20,
    "box_batch_size_per_image": 16,
    "box_detections_per_img": 8,
    "box_score_thresh": 0.3,
}
OPTIONS: dict[str, Any] = {
    "rpn": {"post_nms_top_n_train": 100, "post_nms_top_n_test": 20},
    "box": {"batch_size_per_image": 16, "detections_per_image": 8, "score_threshold": 0.3},
}


def build_reference(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    if architecture == "resnet18":
        backbone = resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
        )
        return TorchvisionMaskRCNN(backbone, NUM_CLASSES, **REFERENCE_OPTIONS)
    return maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=NUM_CLASSES, **REFERENCE_OPTIONS)


def sharpen(model: nn.Module) -> None:
    """Spread the outputs of a model that never learnt, so that ranks do not hang on the last digit."""
    with torch.no_grad():
        model.rpn.head.cls_logits.weight.mul_(30)
        model.rpn.head.bbox_pred.weight.mul_(10)
        model.roi_heads.box_predictor.cls_score.weight.mul_(8)
        model.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(3)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def models(request: pytest.FixtureRequest) -> tuple[nn.Module, MaskRCNN]:
    """torchvision's model and this package's, on the same weights, loaded strictly."""
    reference = build_reference(request.param)
    reference.transform.torch_choice = min  # it draws an image size, of the one there is: keep the random state
    sharpen(reference)
    variant = "v2" if request.param.endswith("v2") else "v1"
    model = build_mask_rcnn(
        NUM_CLASSES - 1, backbone=request.param.split("_")[0], variant=variant, norm="bn", **OPTIONS
    )
    assert set(model.state_dict()) == set(reference.state_dict())
    model.load_state_dict(reference.state_dict(), strict=True)
    return reference.double(), model.double()


def pictures() -> Tensor:
    """Coarse blocks: the features differ from place to place, as they do in photos."""
    noise = torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    images = (nn.functional.interpolate(noise, scale_factor=8) * 255).to(torch.uint8)
    images[1, :, :, 110:] = 0
    return images


def dense_targets() -> list[dict[str, Tensor]]:
    """Ellipses, as torchvision wants them: a mask of the image's size for each."""
    boxes = [[[8, 10, 72, 90], [60, 20, 120, 88]], [[20, 30, 104, 90]]]
    targets = []
    for index, (boxes_i, (height, width)) in enumerate(zip(boxes, SIZES, strict=True)):
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        masks = [
            ((x - (x1 + x2) / 2) / (x2 - x1) * 2) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1) * 2) ** 2 <= 1
            for x1, y1, x2, y2 in boxes_i
        ]
        labels = torch.arange(len(boxes_i)) + 1 + index
        targets.append(
            {"boxes": torch.tensor(boxes_i).double(), "labels": labels, "masks": torch.stack(masks).to(torch.uint8)}
        )
    return targets


def box_targets() -> list[Target]:
    """The same instances in this package's form."""
    targets = []
    for target in dense_targets():
        pairs = zip(target["masks"].numpy(), target["boxes"].int().tolist(), strict=True)
        inside = [mask[y1:y2, x1:x2] for mask, (x1, y1, x2, y2) in pairs]
        box_masks = np.stack([bitmask_to_box_mask(bitmask, 112) for bitmask in inside])
        targets.append(Target(target["boxes"], target["labels"], torch.from_numpy(box_masks)))
    return targets


def reference_images() -> list[Tensor]:
    return [image[:, :height, :width].double() / 255 for image, (height, width) in zip(pictures(), SIZES, strict=True)]


def test_training_losses_and_their_gradients_are_torchvisions(models: tuple[nn.Module, MaskRCNN]) -> None:
    reference, model = models
    torch.manual_seed(3)  # both draw their samples from the same random numbers
    expected = reference.train()(reference_images(), dense_targets())
    torch.manual_seed(3)
    losses, _ = model.train()(pictures(), SIZES, box_targets())
    assert losses.keys() == expected.keys()
    # Mask targets come from box masks, the one thing that is not computed as in torchvision.
    torch.testing.assert_close(losses.pop("loss_mask"), expected.pop("loss_mask"), rtol=0.02, atol=0)
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name], rtol=1e-6, atol=1e-8)
    sum(expected.values()).backward()
    sum(losses.values()).backward()
    wanted = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    for name, parameter in model.named_parameters():
        if name in wanted:
            assert (parameter.grad - wanted[name]).abs().max() <= 1e-5 * wanted[name].abs().max() + 1e-9, name


def test_detections_are_torchvisions(models: tuple[nn.Module, MaskRCNN]) -> None:
    reference, model = models
    with torch.no_grad():
        expected = reference.eval()(reference_images())
        _, detections = model.eval()(pictures(), SIZES)
    predictions = detections_to_predictions(detections, SIZES, [0, 1], SIZES)
    assert sum(len(prediction) for prediction in predictions) >= 10
    for truth, prediction in zip(expected, predictions, strict=True):
        assert prediction.labels.tolist() == truth["labels"].tolist()
        np.testing.assert_allclose(prediction.boxes, truth["boxes"].numpy(), atol=1e-3)
        np.testing.assert_allclose(prediction.scores, truth["scores"].numpy(), atol=1e-5)
        masks = np.stack([rle_to_bitmask(rle) for rle in prediction.rles]).astype(bool)
        assert (masks != (truth["masks"][:, 0] > 0.5).numpy()).mean() <= 1e-3
