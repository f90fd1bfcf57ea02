"""RPN and RoI heads from their options."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from instseg.models.backbones import STRIDES, norm_layer
from instseg.models.options import AnchorOptions, BoxOptions, MaskOptions, RpnOptions
from instseg.models.roi_align import MultiScaleRoIAlign
from instseg.models.roi_heads import RoIHeads
from instseg.models.rpn import RegionProposalNetwork

POOLED_LEVELS = ["0", "1", "2", "3"]


def build_rpn(channels: int, anchors: AnchorOptions, options: RpnOptions, num_convs: int) -> RegionProposalNetwork:
    """``num_convs`` is the variant's, where the options do not say."""
    num_levels = len(STRIDES) + 1
    sizes = tuple(tuple(size) if isinstance(size, Sequence) else (size,) for size in anchors.sizes)
    generator = AnchorGenerator(sizes, (tuple(anchors.ratios),) * num_levels)
    num_anchors = generator.num_anchors_per_location()[0]
    head = RPNHead(channels, num_anchors, conv_depth=num_convs if options.num_convs is None else options.num_convs)
    return RegionProposalNetwork(
        generator,
        head,
        fg_iou_thresh=options.fg_iou,
        bg_iou_thresh=options.bg_iou,
        batch_size_per_image=options.batch_size_per_image,
        positive_fraction=options.positive_fraction,
        pre_nms_top_n={"training": options.pre_nms_top_n_train, "testing": options.pre_nms_top_n_test},
        post_nms_top_n={"training": options.post_nms_top_n_train, "testing": options.post_nms_top_n_test},
        nms_thresh=options.nms_threshold,
        score_thresh=options.score_threshold,
    )


def build_box_head(channels: int, options: BoxOptions, norm: str | None) -> nn.Module:
    """(R, channels, pool_size, pool_size) -> (R, head_channels): two layers, or convolutions and one layer.

    With a norm (v2) there are four convolutions, where the options do not say.
    """
    num_convs = (4 if norm else 0) if options.num_convs is None else options.num_convs
    shape = (channels, options.pool_size, options.pool_size)
    widths, layer = [options.conv_channels] * num_convs, norm_layer(norm) if norm else None
    head: nn.Module = TwoMLPHead(math.prod(shape), options.head_channels)
    if num_convs:
        head = FastRCNNConvFCHead(shape, widths, [options.head_channels], norm_layer=layer)
    return head


def build_roi_heads(num_classes: int, channels: int, box: BoxOptions, mask: MaskOptions, norm: str | None) -> RoIHeads:
    """Heads for ``num_classes`` (background included) on a pyramid of ``channels``; ``norm`` in their convolutions."""
    layers = [mask.channels] * mask.num_convs
    width = layers[-1] if layers else channels
    return RoIHeads(
        box_roi_pool=MultiScaleRoIAlign(POOLED_LEVELS, box.pool_size, box.sampling_ratio, strides=STRIDES),
        box_head=build_box_head(channels, box, norm),
        box_predictor=FastRCNNPredictor(box.head_channels, num_classes),
        fg_iou_thresh=box.fg_iou,
        bg_iou_thresh=box.bg_iou,
        batch_size_per_image=box.batch_size_per_image,
        positive_fraction=box.positive_fraction,
        bbox_reg_weights=None,
        score_thresh=box.score_threshold,
        nms_thresh=box.nms_threshold,
        detections_per_img=box.detections_per_image,
        mask_roi_pool=MultiScaleRoIAlign(POOLED_LEVELS, mask.size // 2, mask.sampling_ratio, strides=STRIDES),
        mask_head=MaskRCNNHeads(channels, layers, 1, norm_layer=norm_layer(norm) if norm else None),
        mask_predictor=MaskRCNNPredictor(width, mask.channels, num_classes),
    )
