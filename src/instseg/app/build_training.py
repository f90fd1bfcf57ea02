"""The network of a training, new or resumed, with its optimizer, its schedule and the callbacks that describe it."""

from __future__ import annotations

import logging

from pytorch_lightning import Callback

from instseg.app.audit_settings import resize_of
from instseg.app.build_model import build_model
from instseg.app.build_module import build_module
from instseg.app.config import RunConfig
from instseg.app.operating_points import OperatingPointsOfValidation
from instseg.checkpoints.content import DescribeCheckpoint
from instseg.checkpoints.description import CheckpointDescription
from instseg.checkpoints.scales import Scales, scales_of
from instseg.core.segmenter import InstanceSegmenter, compile_dense_part, resolved_options, weights_summary
from instseg.data.datamodule import InstanceDataModule
from instseg.data.transforms.augmentation import Augmentation
from instseg.training.module import InstanceSegmentationModule

log = logging.getLogger(__name__)


def training_module(
    config: RunConfig, data: InstanceDataModule, resumed: CheckpointDescription | None, is_first_rank: bool
) -> InstanceSegmentationModule:
    """Build the network of a run, checked for its export where that is asked for, with what trains it.

    Args:
        config: of the run.
        data: that it trains on.
        resumed: description of the checkpoint that it resumes from; None for a new training.
        is_first_rank: true in the process that speaks for all.

    Raises:
        InstsegError: it cannot be built, or not be exported.
    """
    model = build_model(config.model, data.categories, resumed.model_config if resumed else None)
    if is_first_rank and (report := weights_summary(model)) is not None:
        log.info("weights  none: it learns from scratch" if report.is_from_scratch else report)
    if config.export_check and is_first_rank:
        _check_export(config, model)
    if config.compile:
        compile_dense_part(model)
    return build_module(config, model, *_descriptions(config, data, model, resumed))


def _check_export(config: RunConfig, model: InstanceSegmenter) -> None:
    from instseg.deploy.early_check import check_export  # where it is asked for, which is rare

    check_export(model, config.export.format, *resize_of(config))
    log.info("export   %s: the network can be exported", config.export.format)


def _descriptions(
    config: RunConfig, data: InstanceDataModule, model: InstanceSegmenter, resumed: CheckpointDescription | None
) -> tuple[Callback, Callback]:
    """Return the callback that measures operating points, and the one that writes them with all else."""
    stored = {**config.resolved, "model": {**config.model, **resolved_options(model)}}
    earlier = resumed.operating_points if resumed else None
    measured = OperatingPointsOfValidation(config.operating_point, data.categories, earlier, config.recalibrate)
    prepared, scales = data.prepared, _scales(config, data)
    describe = DescribeCheckpoint(
        data.categories, stored, prepared.fingerprint, lambda: measured.points, scales, prepared.value_range
    )
    return measured, describe


def _scales(config: RunConfig, data: InstanceDataModule) -> Scales | None:
    """Return the scales at which the training sees its images: one for all where it sees tiles of them."""
    augmentation, (min_size, max_size) = data.augmentation, resize_of(config)
    if isinstance(augmentation, Augmentation) and augmentation.tile is not None:
        return Scales(min_size / augmentation.tile.side, min_size / augmentation.tile.side)
    return scales_of(data.prepared.indices["train"].image_sizes(), min_size, max_size)
