"""Choices among the backbones, variants, norms and weights of Mask R-CNN, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.segmenter import AnchorGrid, DetectionLimit, Devices, NetworkLimits
from instseg.models.feature_backbone import PretrainedBackbone, check_feature_backbone
from instseg.models.mask_rcnn_options import RANGES, check_names, read_groups
from instseg.models.names import BACKBONES, STAGES, STRIDES
from instseg.models.state_dict import WeightsFile
from instseg.models.weight_names import check_weights

PUBLISHED = ("none", "coco", "imagenet")


def weights_name(weights: str | Path | None) -> str:
    """Return the option as a text; None, which is null in a config, means "none"."""
    return "none" if weights is None else str(weights)


def check_choices(
    backbone: object,
    variant: str,
    norm: str,
    weights: str,
    trainable_layers: int | None,
    fpn_channels: int,
    load: bool,
) -> None:
    """Check names and combinations of options, before any download.

    Args:
        backbone: one of ``BACKBONES``, or a ``FeatureBackbone``.
        variant: one of ``VARIANTS``.
        norm: "auto" or one of ``NORMS``.
        weights: one of ``PUBLISHED``, a path or a URL.
        trainable_layers: number of stages that are trained, or None.
        fpn_channels: width of the pyramid.
        load: False skips the checks of weights that are to be read.

    Raises:
        InstsegError: a name is unknown, or a combination is impossible.
    """
    if not isinstance(backbone, str):
        check_feature_backbone(backbone)
        _check_own_backbone(backbone, weights, trainable_layers, load)
    check_names(backbone, variant, norm)
    if trainable_layers not in RANGES["trainable_layers"]:
        raise InstsegError(f"model.trainable_layers={trainable_layers}: expected {RANGES['trainable_layers']}")
    if not isinstance(fpn_channels, int) or fpn_channels < 1:
        raise InstsegError(f"model.fpn_channels={fpn_channels} must be a whole number from 1")
    if not load:
        return
    if weights == "none":
        _check_from_scratch(norm, trainable_layers)
        return
    if not isinstance(backbone, PretrainedBackbone) or weights != "imagenet":
        check_weights(weights, str(backbone), variant)
    if weights in PUBLISHED:
        resolve_norm(norm, variant, weights, None, backbone)


def _check_own_backbone(backbone: object, weights: str, trainable_layers: int | None, load: bool) -> None:
    """Raise InstsegError where an option asks something of our ResNets, and the backbone is another network."""
    if isinstance(backbone, PretrainedBackbone):
        _check_library(backbone, weights, load)
        return
    if trainable_layers is not None:
        raise InstsegError(
            f"model.trainable_layers: expected null, as the backbone is not one of {', '.join(BACKBONES)} and decides "
            f"by itself which layers are trained, found {trainable_layers}"
        )
    if load and weights in ("coco", "imagenet"):
        raise InstsegError(
            "model.weights: expected none, or the path of weights trained with this backbone, as the backbone is not "
            f"one of {', '.join(BACKBONES)}, found {weights}"
        )


def _check_library(backbone: PretrainedBackbone, weights: str, load: bool) -> None:
    if load and weights == "coco":
        raise InstsegError(
            f"model.weights: expected imagenet, none, or the path of weights of {backbone.name}, found coco, which are "
            "published for model=r50fpn and r50fpn_v2"
        )
    if backbone.norm == "frozen_bn" and weights == "none":
        raise InstsegError(
            "model.backbone.norm=frozen_bn keeps the statistics of trained weights, and model.weights=none has none: "
            "use auto or bn"
        )


def _check_from_scratch(norm: str, trainable_layers: int | None) -> None:
    if norm == "frozen_bn":
        raise InstsegError(
            "model.norm=frozen_bn keeps the statistics of trained weights, and model.weights=none has none: use gn"
        )
    if trainable_layers is not None and trainable_layers < len(STAGES):
        raise InstsegError(
            f"model.trainable_layers={trainable_layers} with model.weights=none would freeze random layers: "
            "use 5 or null"
        )


def resolve_norm(norm: str, variant: str, weights: str, file: WeightsFile | None, backbone: object) -> str:
    """Return the norm that an option stands for, one of ``NORMS``.

    Args:
        norm: the option; "auto" follows the weights.
        variant: one of ``VARIANTS``.
        weights: the option, as ``weights_name`` returns it.
        file: the weights, if they have been read.
        backbone: its name, or a network.

    Raises:
        InstsegError: the weights were trained with another norm.
    """
    if isinstance(backbone, PretrainedBackbone) and (weights == "imagenet" or (file and file.backbone_only)):
        return _norm_of_new_heads(norm, variant, weights)
    if norm == "auto":
        return _norm_of_weights(variant, weights, file)
    if weights in ("coco", "imagenet") or file is not None:
        trained = file.norm if file is not None else "bn"
        if (norm == "gn") != (trained == "gn"):
            raise InstsegError(
                f"model.norm={norm} does not go with model.weights={weights}, trained with {trained}: "
                "use model.norm=auto"
            )
    if weights == "imagenet" or (file is not None and file.backbone_only):
        return _norm_of_new_heads(norm, variant, weights)
    return norm


def _norm_of_new_heads(norm: str, variant: str, weights: str) -> str:
    """Return the norm of pyramid and heads that no weights are read for; InstsegError where it would freeze them."""
    if norm == "frozen_bn" and variant == "v2":
        raise InstsegError(
            f"model.norm=frozen_bn with model.variant=v2 would freeze norms of the heads that model.weights={weights} "
            "does not hold: use model.norm=bn, model.norm=sync_bn or model.variant=v1"
        )
    return "gn" if norm == "auto" else norm


def _norm_of_weights(variant: str, weights: str, file: WeightsFile | None) -> str:
    if weights == "none":
        return "gn"
    if weights in ("coco", "imagenet") or (file is not None and file.backbone_only):
        return "frozen_bn" if variant == "v1" else "bn"
    if file is None:
        raise InstsegError(
            f"model.norm=auto follows the file model.weights={weights}, which load=False does not read: name the norm"
        )
    return file.norm


def check_sync_norm(options: Mapping[str, object], devices: Devices) -> None:
    """Require several GPUs for ``norm: sync_bn``.

    Args:
        options: of ``build_mask_rcnn``.
        devices: of the training.

    Raises:
        InstsegError: the norm cannot be averaged over these devices.
    """
    if options.get("norm") != "sync_bn":
        return
    if not devices.on_gpu:
        raise InstsegError(
            "model.norm=sync_bn averages over GPUs, and none is used here: PyTorch has no such norm for CPU "
            "processes; use gn, which does not depend on the batch, or bn"
        )
    if devices.is_single:
        raise InstsegError("model.norm=sync_bn averages over processes, and there is one; use bn, or trainer=ddp")


def default_trainable_layers(weights: str) -> int:
    """Return the number of stages that are trained: all where the network learns from scratch."""
    return len(STAGES) if weights == "none" else 3


def limits_of(options: Mapping[str, object]) -> NetworkLimits:
    """Return the anchors and the number of detections that the options of ``build_mask_rcnn`` ask for.

    An instance is found in a proposal, so that their number limits the detections, too.
    """
    anchors, rpn, box, _ = read_groups(*(options.get(key, {}) for key in ("anchors", "rpn", "box", "mask")))
    strides = (*STRIDES, 2 * STRIDES[-1])
    grid = AnchorGrid(anchors.sizes_by_level, tuple(anchors.ratios), strides, rpn.fg_iou, "anchors.sizes")
    limit = DetectionLimit(box.detections_per_image, "box.detections_per_image")
    if rpn.post_nms_top_n_test < box.detections_per_image:
        limit = DetectionLimit(rpn.post_nms_top_n_test, "rpn.post_nms_top_n_test")
    return NetworkLimits(grid, limit)
