"""Mask R-CNN on whole uint8 batches. Its parameters have torchvision's names, so that its state dicts load strictly."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList

from instseg.core.categories import Categories
from instseg.core.segmenter import BoxSuppression, Suppression
from instseg.core.types import Batch, Detections, ImageSize, Prediction, Target
from instseg.models.builder import Options, model_builder
from instseg.models.detection_graph import DetectionGraph
from instseg.models.feature_backbone import FeatureBackbone, PretrainedBackbone
from instseg.models.feature_pyramid import FeaturePyramid, build_pyramid, mean_features
from instseg.models.heads import build_roi_heads, build_rpn
from instseg.models.mask_rcnn_choices import (
    check_choices,
    check_sync_norm,
    default_trainable_layers,
    limits_of,
    resolve_norm,
    weights_name,
)
from instseg.models.mask_rcnn_options import (
    PREDICTION_OPTIONS,
    AnchorOptions,
    BoxOptions,
    MaskOptions,
    RpnOptions,
    read_groups,
)
from instseg.models.postprocess import detections_to_predictions
from instseg.models.roi_heads import RoIHeads
from instseg.models.rpn import RegionProposalNetwork
from instseg.models.weight_files import read_weights
from instseg.models.weights import WeightsReport, apply_weights, report_without_weights


class MaskRCNN(GeneralizedRCNN):
    """Mask R-CNN (He et al., 2017) with a feature pyramid; made by ``build_mask_rcnn``."""

    def __init__(
        self,
        backbone: FeaturePyramid,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        categories: Categories,
        norm: str,
    ) -> None:
        super().__init__(backbone, rpn, roi_heads, backbone.normalize())
        self.categories = categories
        self.norm = norm  # one of ``NORMS``
        self.weights_report: WeightsReport | None = None

    @property
    def resolved_options(self) -> dict[str, object]:
        """The norm chosen by ``norm: auto``; it depends on the weights, which are not read again."""
        return {"norm": self.norm}

    @property
    def box_suppression(self) -> BoxSuppression:
        """The options box.nms_threshold and box.detections_per_image."""
        return BoxSuppression(self.roi_heads.nms_thresh, self.roi_heads.detections_per_img)

    @box_suppression.setter
    def box_suppression(self, chosen: BoxSuppression) -> None:
        self.roi_heads.nms_thresh, self.roi_heads.detections_per_img = chosen.iou_threshold, chosen.per_image

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return loss_classifier, loss_box_reg, loss_mask, loss_objectness and loss_rpn_box_reg."""
        losses, _ = self(batch.images, batch.image_sizes, batch.targets)
        return dict(losses)

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return what is found on each image, in the original frame."""
        _, detections = self(batch.images, batch.image_sizes)
        return self.to_predictions(detections, batch)

    def losses_and_predictions(self, batch: Batch) -> tuple[dict[str, Tensor], list[Prediction]]:
        """Return both from one pass, in evaluation mode; no global random state is touched."""
        losses, detections = self(batch.images, batch.image_sizes, batch.targets)
        return losses, self.to_predictions(detections, batch)

    def predictions_and_features(self, batch: Batch) -> tuple[list[Prediction], Tensor]:
        """Return what is found on each image, and (B, C): means of the channels of the backbone's last stage."""
        normalized = self.transform(batch.images, batch.image_sizes)
        stages = self.backbone.body(normalized.tensors)
        detections, _ = self._detect(self.backbone.levels(stages), normalized, None)
        return self.to_predictions(detections, batch), mean_features(
            stages[-1], batch.image_sizes, self.backbone.body.strides[-1]
        )

    def to_predictions(self, detections: list[Detections], batch: Batch) -> list[Prediction]:
        """Convert detections to predictions.

        Args:
            detections: one for each image, in the network frame.
            batch: the images.

        Returns:
            One prediction for each image, in the original frame.
        """
        return detections_to_predictions(detections, batch.image_sizes, batch.image_ids, batch.original_sizes)

    def forward(
        self, images: Tensor, image_sizes: list[ImageSize], targets: list[Target] | None = None
    ) -> tuple[dict[str, Tensor], list[Detections]]:
        """Run the network once; targets and detections are in the network frame.

        Args:
            images: uint8 (B, 3, H, W) RGB, padded at the right and bottom.
            image_sizes: (height, width) px of each without the padding.
            targets: needed in training.

        Returns:
            In training the losses, and no detections. In evaluation the losses where targets are given, else none, and
            one ``Detections`` for each image; the same input then gives the same losses.

        Raises:
            ValueError: in training without targets.
        """
        if self.training and targets is None:
            raise ValueError("training needs targets")
        normalized = self.transform(images, image_sizes)
        target_dicts = None if targets is None else [_as_dict(target) for target in targets]
        detections, losses = self._detect(self.backbone(normalized.tensors), normalized, target_dicts)
        return losses, detections

    def _detect(
        self, maps: dict[str, Tensor], normalized: ImageList, targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[Detections], dict[str, Tensor]]:
        """Return detections and losses from the levels of the pyramid."""
        proposals, rpn_losses = self.rpn(normalized, maps, targets)
        detections, roi_losses = self.roi_heads(maps, proposals, normalized.image_sizes, targets)
        return detections, {**roi_losses, **rpn_losses}

    def as_graph(self, suppress: Suppression) -> DetectionGraph:
        """Return the network as a module from one image to what is found on it, for exporters."""
        return DetectionGraph(self.transform, self.backbone, self.rpn, self.roi_heads, suppress)

    def compile_dense_part(self) -> None:
        """Compile what runs over whole images, for any size of them; the names in the state dict stay."""
        self.backbone.compile(dynamic=True)
        self.rpn.head.compile(dynamic=True)


def _as_dict(target: Target) -> dict[str, Tensor]:
    """Return a target in the form that torchvision's matching expects, with what is seldom there where it is."""
    values = {"boxes": target.boxes, "labels": target.labels, "box_masks": target.box_masks}
    if target.ignored is not None:
        values |= {"ignored_boxes": target.ignored.boxes, "ignored_masks": target.ignored.box_masks}
    seldom = {"has_mask": target.has_mask, "unlabelled": target.unlabelled}
    return values | {name: tensor for name, tensor in seldom.items() if tensor is not None}


def check_options(options: Options, load: bool) -> None:
    """Raise the InstsegError of ``build_mask_rcnn`` for whatever can be known without reading weights.

    Args:
        options: its keywords but ``categories`` and ``load``; nothing is built or downloaded.
        load: whether the weights that the options name will be read.
    """
    given = _with_defaults(options)
    read_groups(*(given.pop(key) for key in ("anchors", "rpn", "box", "mask")))
    check_choices(**given | {"weights": weights_name(given["weights"])}, load=load)


def check_weights(options: Options) -> None:
    """Raise the InstsegError of ``build_mask_rcnn`` for weights that cannot be read, after their download if needed.

    Args:
        options: its keywords but ``categories`` and ``load``.
    """
    given = _with_defaults(options)
    weights, variant, backbone = weights_name(given["weights"]), str(given["variant"]), given["backbone"]
    if weights != "none":
        resolve_norm(str(given["norm"]), variant, weights, read_weights(weights, backbone, variant), backbone)


def _with_defaults(options: Options) -> dict[str, Any]:
    parameters = inspect.signature(build_mask_rcnn).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("categories", "load")} | dict(options)


@model_builder(
    PREDICTION_OPTIONS,
    resolved=("norm",),
    check=check_options,
    check_weights=check_weights,
    limits=limits_of,
    check_devices=check_sync_norm,
)
def build_mask_rcnn(
    categories: Categories | Sequence[str] | int,
    *,
    backbone: str | FeatureBackbone = "resnet50",
    variant: str = "v1",
    weights: str | Path | None = "none",
    load: bool = True,
    trainable_layers: int | None = None,
    norm: str = "auto",
    fpn_channels: int = 256,
    anchors: AnchorOptions | Mapping[str, object] = AnchorOptions(),  # noqa: B008 - frozen
    rpn: RpnOptions | Mapping[str, object] = RpnOptions(),  # noqa: B008
    box: BoxOptions | Mapping[str, object] = BoxOptions(),  # noqa: B008
    mask: MaskOptions | Mapping[str, object] = MaskOptions(),  # noqa: B008
) -> MaskRCNN:
    """Build Mask R-CNN with its weights loaded and their report in ``model.weights_report``.

    Args:
        categories: the categories; a bare number where there are no names (nothing is then transferred by name).
        backbone: resnet18, resnet34, resnet50, resnet101, or resnet18_half, which has no published weights; or a
            network that keeps to the contract of ``FeatureBackbone``: of torchvision, of timm, or of your own.
        variant: "v1" (He et al., 2017) or "v2" (Li et al., 2021: normalised FPN and heads, convolutions in the box
            head, two in the RPN); the architectures of torchvision's maskrcnn_resnet50_fpn and ..._fpn_v2.
        weights: "coco", "imagenet" (backbone only), "none", a path or an http(s) URL.
        load: False builds the same architecture without reading weights, for a state dict that follows.
        trainable_layers: 0..5 stages of the backbone from the last; None is 3 with weights and 5 without.
        norm: "frozen_bn", "bn", "gn", "sync_bn"; "auto" is what the weights were made with, and gn without weights.
            Beside a network as backbone it is that of pyramid and heads.
        fpn_channels: width of the pyramid and of the RPN.
        anchors: options of the anchors, or a mapping of those that differ from the defaults; so in the next three.
        rpn: options of the region proposal network.
        box: options of the box head.
        mask: options of the mask head.

    Raises:
        InstsegError: on an unknown name, an impossible combination, or weights that cannot be had or do not fit.
    """
    anchors, rpn, box, mask = read_groups(anchors, rpn, box, mask)
    weights = weights_name(weights)
    check_choices(backbone, variant, norm, weights, trainable_layers, fpn_channels, load)
    file = read_weights(weights, backbone, variant) if load and weights != "none" else None
    norm = resolve_norm(norm, variant, weights, file, backbone)
    trainable_layers = default_trainable_layers(weights) if trainable_layers is None else trainable_layers
    head_norm = norm if variant == "v2" else None
    names = _named(categories)
    if isinstance(backbone, PretrainedBackbone):
        backbone.start(trainable_layers, is_pretrained=weights != "none")
    model = MaskRCNN(
        build_pyramid(backbone, norm, trainable_layers, fpn_channels, head_norm),
        build_rpn(fpn_channels, anchors, rpn, 2 if variant == "v2" else 1),
        build_roi_heads(names.num_classes, fpn_channels, box, mask, head_norm),
        names,
        norm,
    )
    if load:
        model.weights_report = apply_weights(model, file, categories) if file else report_without_weights(model)
    model.to(memory_format=torch.channels_last)
    return model


def _named(categories: Categories | Sequence[str] | int) -> Categories:
    """Return the categories; a bare number of them is named 1, 2, ..."""
    if isinstance(categories, Categories):
        return categories
    return Categories(tuple(map(str, range(1, categories + 1))) if isinstance(categories, int) else tuple(categories))
