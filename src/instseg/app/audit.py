"""``stage=audit``: everything that is wrong or doubtful about the data set. Its short form opens every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.markup import escape

from instseg.app.build import build_dataset
from instseg.app.config import Node, RunConfig
from instseg.app.job import Job
from instseg.app.record import write_record
from instseg.audit.dataset import audit_dataset
from instseg.audit.options import AuditOptions
from instseg.audit.page import write_audit_page
from instseg.audit.report import write_audit_json
from instseg.audit.terminal import print_audit, print_short
from instseg.core.errors import InstsegError
from instseg.data.prepared import PreparedDataset


def audit(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Report on the data set: on the screen, as a page and as json. Trains and measures nothing."""
    _audit(config, job)
    return {}


@rank_zero_only
def _audit(config: RunConfig, job: Job) -> None:
    prepared = build_dataset(config)
    write_record(config, job, prepared)
    page = config.folder / "audit.html"
    report = audit_dataset(prepared, build_audit_options(config), thorough=True, folder=config.folder)
    console = Console()
    print_audit(report, console)
    write_audit_page(report, page)
    write_audit_json(report, config.folder / "audit.json")
    console.print(f"\nwith pictures:   {escape(str(page))}", highlight=False, soft_wrap=True)
    print(config.folder)


def audit_shortly(config: RunConfig, prepared: PreparedDataset) -> None:
    """Print the counts of a data set and what is wrong with it.

    Raises:
        InstsegError: on every rank, where a training would be pointless.
    """
    report = audit_dataset(prepared, build_audit_options(config), thorough=False)
    rank_zero_only(print_short)(report, Console())
    if config.stage == "fit":
        report.stop_if_fatal(config.audit.accept)


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
