"""Networks for the tests of exports: all parts of Mask R-CNN, in small."""

from __future__ import annotations

from instseg.checkpoints.content import TrainedModel
from instseg.checkpoints.operating_points import OperatingPoints, StoredEstimate, StoredPoint
from instseg.core.categories import Categories
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn

CATEGORIES = Categories(("disc", "triangle", "ring"))
FEW_ROIS = {"pre_nms_top_n_test": 100, "post_nms_top_n_test": 50}
SMALL = {
    "backbone": "resnet18_half",
    "variant": "v2",
    "norm": "bn",
    "fpn_channels": 16,
    "anchors": {"sizes": [12, 24, 40, 64, 96]},
    "rpn": {"num_convs": 1, **FEW_ROIS},
    "box": {"num_convs": 1, "conv_channels": 8, "head_channels": 16, "detections_per_image": 20},
    "mask": {"num_convs": 1, "channels": 8},
}


def untrained(**options: object) -> MaskRCNN:
    """A network whose scores are low but above its threshold: it finds as much as it may."""
    return build_mask_rcnn(CATEGORIES, **{**SMALL, **options}).eval()


def trained_model(model: MaskRCNN | None = None) -> TrainedModel:
    half = StoredEstimate(0.5)
    points = OperatingPoints("f1", 16, [StoredPoint("ring", StoredEstimate(0.21), half, half, half, True)])
    return TrainedModel(model or untrained(), 96, 128, {}, {"checkpoint": "best.ckpt"}, points)
