"""Building of the RPN and of the RoI heads from their options, and the two heads that differ from torchvision's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from instseg.models.linear import linear
from instseg.models.mask_rcnn_options import AnchorOptions, BoxOptions, MaskOptions, RpnOptions
from instseg.models.names import STRIDES
from instseg.models.norms import norm_layer
from instseg.models.roi_align import MultiScaleRoIAlign
from instseg.models.roi_heads import RoIHeads
from instseg.models.rpn import RegionProposalNetwork

POOLED_LEVELS = ["0", "1", "2", "3"]
MIN_ROIS_AT_ONCE = 32  # with fewer, a convolution costs more time than the saved memory is worth


def build_rpn(channels: int, anchors: AnchorOptions, options: RpnOptions, num_convs: int) -> RegionProposalNetwork:
    """Build the region proposal network.

    Args:
        channels: width of the pyramid.
        anchors: sizes and ratios of the anchors.
        options: options of the RPN.
        num_convs: convolutions in its head, if the options leave them open.
    """
    num_levels = len(STRIDES) + 1
    generator = AnchorGenerator(anchors.sizes_by_level, (tuple(anchors.ratios),) * num_levels)
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


class BoxHead(TwoMLPHead):
    """torchvision's box head of two layers, computed by ``linear``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return features (R, channels) of RoIs (R, C, size, size)."""
        x = F.relu(linear(x.flatten(1), self.fc6.weight, self.fc6.bias))
        return F.relu(linear(x, self.fc7.weight, self.fc7.bias))


class MaskPredictor(MaskRCNNPredictor):
    """torchvision's last layers of the mask head, for one category of each RoI.

    The kernels of the transposed convolution do not overlap, so it equals a 1x1 convolution to four pixels, which is
    several times faster. Logits are computed for the RoI's own category only (He et al., 2017, section 3). These are
    the largest tensors of a training step, and the backward pass needs three of them: the RoIs are computed in parts.
    """

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return mask logits (R, m, m).

        Args:
            x: (R, C, m / 2, m / 2) features.
            labels: int64 (R,) category of each RoI.
        """
        at_once = max(MIN_ROIS_AT_ONCE, -(-len(x) // 8))
        parts = zip(torch.split(x, at_once), torch.split(labels, at_once), strict=True)
        return torch.cat([self.logits(*part) for part in parts])

    def logits(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return mask logits (R, m, m) of RoIs that are computed at once.

        Args:
            x: (R, C, m / 2, m / 2) features.
            labels: int64 (R,) category of each RoI.
        """
        upsample, logits = self.conv5_mask, self.mask_fcn_logits
        weight = upsample.weight.permute(2, 3, 1, 0).flatten(0, 2)[:, :, None, None]  # (2 * 2 * D, C, 1, 1)
        height, width = x.shape[2:]
        fourfold = F.relu(F.conv2d(x, weight, upsample.bias.repeat(4)), inplace=True)
        hidden = fourfold.permute(0, 2, 3, 1).reshape(-1, height * width * 4, upsample.out_channels)
        of_category = logits.weight[labels].flatten(1)[:, :, None]
        pixels = torch.bmm(hidden, of_category).add(logits.bias[labels, None, None]).view(-1, height, width, 2, 2)
        return pixels.transpose(2, 3).reshape(-1, height * 2, width * 2)


def build_box_head(channels: int, options: BoxOptions, norm: str | None) -> nn.Module:
    """Build the box head: two linear layers, or convolutions and one linear layer.

    Args:
        channels: width of the pyramid.
        options: options of the head; they may leave the number of convolutions open.
        norm: normalisation of the convolutions. With one (v2) there are four convolutions by default, else none.

    Returns:
        A module (R, channels, pool_size, pool_size) -> (R, head_channels).
    """
    num_convs = (4 if norm else 0) if options.num_convs is None else options.num_convs
    shape = (channels, options.pool_size, options.pool_size)
    widths, layer = [options.conv_channels] * num_convs, norm_layer(norm) if norm else None
    head: nn.Module = BoxHead(math.prod(shape), options.head_channels)
    if num_convs:
        head = FastRCNNConvFCHead(shape, widths, [options.head_channels], norm_layer=layer)
    return head


def build_roi_heads(num_classes: int, channels: int, box: BoxOptions, mask: MaskOptions, norm: str | None) -> RoIHeads:
    """Build the box and mask heads.

    Args:
        num_classes: number of categories, with the background.
        channels: width of the pyramid.
        box: options of the box head.
        mask: options of the mask head.
        norm: normalisation of their convolutions; None for none.
    """
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
        mask_predictor=MaskPredictor(width, mask.channels, num_classes),
    )
