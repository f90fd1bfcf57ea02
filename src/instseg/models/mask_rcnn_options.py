"""Options of Mask R-CNN in groups, with the defaults of the papers and of torchvision, and the checks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from instseg.core.errors import InstsegError
from instseg.core.ranges import COUNT, FRACTION, Numbers, Values, as_written
from instseg.models.names import BACKBONES, NORMS, STAGES, STRIDES, VARIANTS
from instseg.models.option_keys import check_keys

PREDICTION_OPTIONS = (
    "rpn.pre_nms_top_n_test", "rpn.post_nms_top_n_test", "rpn.nms_threshold", "rpn.score_threshold",
    "box.score_threshold", "box.nms_threshold", "box.detections_per_image",
)  # fmt: skip
"""Options that may change after training."""

BUILDER = "instseg.models.mask_rcnn.build_mask_rcnn"
"""The callable that takes these options, as ``model._target_`` names it: known without loading it."""

LOSSES = ("loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg")
"""Names of the terms of its loss; ``monitor.metric=val/<name>`` is checked against them before any work."""

RANGES: Mapping[str, Values] = {
    "trainable_layers": Numbers(0, len(STAGES), is_whole=True, besides=(None,)),
    "rpn.nms_threshold": FRACTION,
    "rpn.score_threshold": FRACTION,
    "rpn.fg_iou": FRACTION,
    "rpn.bg_iou": FRACTION,
    "rpn.positive_fraction": FRACTION,
    "box.score_threshold": FRACTION,
    "box.nms_threshold": FRACTION,
    "box.detections_per_image": COUNT,
    "box.fg_iou": FRACTION,
    "box.bg_iou": FRACTION,
    "box.positive_fraction": FRACTION,
}
"""Dotted key of an option -> its values, where they are fewer than ``NUMBERS``."""
NUMBERS: Mapping[type, Values] = {int: Numbers(0, is_whole=True), float: Numbers(0)}


@dataclass(frozen=True, slots=True)
class AnchorOptions:
    """Anchor boxes of the RPN."""

    sizes: Sequence[float | Sequence[float]] = (32, 64, 128, 256, 512)  # px, one entry per level (strides 4..64)
    ratios: Sequence[float] = (0.5, 1.0, 2.0)  # height / width

    def __post_init__(self) -> None:
        lengths = {len(size) if isinstance(size, Sequence) else 1 for size in self.sizes}
        if len(self.sizes) != len(STRIDES) + 1 or len(lengths) != 1:
            raise InstsegError(
                f"model.anchors.sizes={list(self.sizes)}: expected {len(STRIDES) + 1} entries, one per pyramid level, "
                "each a number or a list of the same length"
            )

    @property
    def sizes_by_level(self) -> tuple[tuple[float, ...], ...]:
        """Sides of the anchors of each level, px in the network frame."""
        return tuple(tuple(size) if isinstance(size, Sequence) else (size,) for size in self.sizes)


@dataclass(frozen=True, slots=True)
class RpnOptions:
    """Region proposals."""

    num_convs: int | None = None  # None: 1 in v1, 2 in v2
    pre_nms_top_n_train: int = 2000  # per level
    pre_nms_top_n_test: int = 1000
    post_nms_top_n_train: int = 2000  # per image
    post_nms_top_n_test: int = 1000
    nms_threshold: float = 0.7
    score_threshold: float = 0.0
    fg_iou: float = 0.7  # anchors of at least this IoU are positive
    bg_iou: float = 0.3  # anchors below it are negative
    batch_size_per_image: int = 256  # anchors in the loss
    positive_fraction: float = 0.5


@dataclass(frozen=True, slots=True)
class BoxOptions:
    """Box head and detections."""

    num_convs: int | None = None  # None: 0 in v1, 4 in v2
    conv_channels: int = 256
    head_channels: int = 1024
    pool_size: int = 7
    sampling_ratio: int = 2
    batch_size_per_image: int = 512  # RoIs in the loss
    positive_fraction: float = 0.25
    fg_iou: float = 0.5
    bg_iou: float = 0.5
    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    detections_per_image: int = 100


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """Mask head."""

    num_convs: int = 4
    channels: int = 256
    size: int = 28  # side of the predicted masks, even
    sampling_ratio: int = 2

    def __post_init__(self) -> None:
        if self.size < 2 or self.size % 2:
            raise InstsegError(
                f"model.mask.size={self.size} must be 2 or more and even: the last layer of its head doubles its input"
            )


Options = TypeVar("Options", AnchorOptions, RpnOptions, BoxOptions, MaskOptions)


def read_options(kind: type[Options], given: object, key: str) -> Options:
    """Return a group of options.

    Args:
        kind: its class.
        given: the group, or a mapping of the options that differ from the defaults.
        key: name of the group for messages, such as ``model.box``.

    Raises:
        InstsegError: an option is unknown, or its value is of the wrong kind.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise InstsegError(f"{key}={as_written(given)} must be a group of options")
    check_keys(given, [field.name for field in fields(kind)], key)
    for field in fields(kind):
        _check_value(f"{key}.{field.name}", given.get(field.name, field.default), field.default)
    build: Callable[..., Options] = kind
    return build(**given)


def _check_value(key: str, value: object, default: object) -> None:
    """Raise InstsegError if ``value`` is out of its range, or no list where ``default`` is one."""
    values = RANGES.get(key.removeprefix("model."), NUMBERS.get(type(default)))
    if values is not None and value not in values:
        raise InstsegError(f"{key}={as_written(value)}: expected {values}")
    if isinstance(default, tuple) and not isinstance(value, list | tuple):
        raise InstsegError(f"{key}={as_written(value)}: expected a list")


def check_names(backbone: object, variant: object, norm: object) -> None:
    """Check the options that choose by name.

    Args:
        backbone: one of ``BACKBONES``; anything but a text is a network of another library, which is not checked.
        variant: one of ``VARIANTS``.
        norm: auto, or one of ``NORMS``.

    Raises:
        InstsegError: a name is unknown.
    """
    chosen = {"backbone": (backbone, BACKBONES), "variant": (variant, VARIANTS), "norm": (norm, ("auto", *NORMS))}
    for key, (value, known) in chosen.items():
        if value not in known and (key != "backbone" or isinstance(backbone, str)):
            raise InstsegError(f"model.{key}={value!r} is not known; choose one of {', '.join(known)}")


def read_groups(
    anchors: object, rpn: object, box: object, mask: object
) -> tuple[AnchorOptions, RpnOptions, BoxOptions, MaskOptions]:
    """Return the four groups of options, each given as ``read_options`` takes it.

    Args:
        anchors: options of the anchors.
        rpn: options of the region proposal network.
        box: options of the box head.
        mask: options of the mask head.

    Raises:
        InstsegError: an option is unknown, or its value is of the wrong kind.
    """
    return (
        read_options(AnchorOptions, anchors, "model.anchors"),
        read_options(RpnOptions, rpn, "model.rpn"),
        read_options(BoxOptions, box, "model.box"),
        read_options(MaskOptions, mask, "model.mask"),
    )
