"""The settings of a run that decide which objects can be learnt, for the audit of its data."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from instseg.app.config import Node, RunConfig
from instseg.audit.audit_options import AuditOptions
from instseg.core.errors import InstsegError


def build_audit_options(config: RunConfig) -> AuditOptions:
    """Collect the settings of the run that decide which objects can be learnt."""
    sizes, model = _typed(config.augmentation, _Sizes), _typed(config.model, _Model)
    return AuditOptions(
        min_size=sizes.min_size,
        max_size=sizes.max_size,
        anchor_sizes=model.anchors.sizes,
        anchor_ratios=model.anchors.ratios,
        anchor_iou=model.rpn.fg_iou,
        detections_per_image=model.box.detections_per_image,
        exif_is_given=config.dataset.get("exif", "auto") != "auto",
    )


class _Sizes(msgspec.Struct):
    min_size: int
    max_size: int


class _Anchors(msgspec.Struct):
    sizes: list[float | list[float]]
    ratios: list[float]


class _Rpn(msgspec.Struct):
    fg_iou: float


class _Box(msgspec.Struct):
    detections_per_image: int


class _Model(msgspec.Struct):
    anchors: _Anchors
    rpn: _Rpn
    box: _Box


Settings = TypeVar("Settings", _Sizes, _Model)


def _typed(node: Node, kind: type[Settings]) -> Settings:
    try:
        return msgspec.convert(node, kind)
    except msgspec.ValidationError as error:
        raise InstsegError(f"{node.get('_target_')}: {error}") from error
