"""From a composed config to the parts of a run: dataset, loaders, model, trainer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from torch import nn

from instseg.app.check_config import OWN_TRAINER_KEYS
from instseg.audit.options import AuditOptions
from instseg.checkpoints.content import TrainedModel, load_trained_model
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.data.datamodule import InstanceDataModule
from instseg.data.prepared import PreparedDataset
from instseg.models.mask_rcnn import MaskRCNN, check_options
from instseg.models.weight_files import coco_category_names
from instseg.prediction.writers.writer import Writer
from instseg.runs.external_launch import external_launch, ranks_are_started_externally
from instseg.runs.folders import find_checkpoint
from instseg.training.module import InstanceSegmentationModule

COCO_MIN_SIZE, COCO_MAX_SIZE = 800, 1333  # px: the sizes that the published COCO weights were trained at


def _build(node: Any, *args: Any, **kwargs: Any) -> Any:
    """Hydra's instantiate to plain containers; what the user can mend is raised as it was, not wrapped."""
    try:
        return instantiate(node, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InstsegError):
            raise error.__cause__ from error
        raise


def build_dataset(config: DictConfig) -> PreparedDataset:
    prepared = _build(without_suggestions(config.dataset))
    assert isinstance(prepared, PreparedDataset)
    return prepared


def build_model(config: DictConfig, categories: Categories, **overrides: Any) -> MaskRCNN:
    model = _build(without_suggestions(config.model), categories, **overrides)
    assert isinstance(model, MaskRCNN)
    return model


def check_parts(config: DictConfig) -> None:
    """Build what needs no data, on something tiny, so that a wrong value is not found after a long download."""
    options = {key: value for key, value in plain(config)["model"].items() if key not in ("_target_", "suggested")}
    if not config.resume and config.stage == "fit":
        check_options(**options)
    _build(config.augmentation)
    optimizer = _build(config.optimizer)(nn.Linear(1, 1), 1)
    _build(config.scheduler)(optimizer, 100)


def without_suggestions(node: DictConfig) -> dict[str, Any]:
    """What ``suggested`` holds are defaults for other groups, not arguments of this one."""
    return {str(key): value for key, value in node.items() if key != "suggested"}


def build_audit_options(config: DictConfig) -> AuditOptions:
    """The settings of this run that decide which objects can be learnt."""
    model = config.model
    return AuditOptions(
        min_size=config.augmentation.min_size,
        max_size=config.augmentation.max_size,
        anchor_sizes=OmegaConf.to_object(model.anchors.sizes),  # type: ignore[arg-type]
        anchor_ratios=OmegaConf.to_object(model.anchors.ratios),  # type: ignore[arg-type]
        anchor_iou=model.rpn.fg_iou,
        detections_per_image=model.box.detections_per_image,
        exif_is_given=config.dataset.get("exif", "auto") != "auto",
    )


def build_datamodule(config: DictConfig, prepared: PreparedDataset) -> InstanceDataModule:
    augmentation = _build(config.augmentation)
    prepared = prepared.with_fraction_of_training(config.train_share, config.seed)
    return InstanceDataModule(
        prepared, augmentation, config.batch_size, config.num_workers, config.seed, config.overfit_images
    )


def build_module(config: DictConfig, model: MaskRCNN, categories: Categories) -> InstanceSegmentationModule:
    return InstanceSegmentationModule(
        model,
        categories,
        _build(config.optimizer),
        _build(config.scheduler),
        config.batch_size,
        {str(name): _build(node, categories) for name, node in config.metrics.items() if node is not None},
    )


def build_trainer(config: DictConfig) -> pl.Trainer:
    """Lightning's Trainer with the configured callbacks and loggers; InstsegError for what it refuses."""
    callbacks = [_build(c) for c in config.callbacks.values() if c is not None]
    loggers = [_build(c) for c in config.logger.values() if c is not None]
    if not config.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    options = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(options, dict)
    for own in ("_target_", *OWN_TRAINER_KEYS):
        options.pop(own)
    options.update(started_processes(config.trainer))
    if OmegaConf.is_dict(config.trainer.strategy):
        options["strategy"] = _build(config.trainer.strategy)
    try:
        return pl.Trainer(
            **{str(key): value for key, value in options.items()},
            callbacks=callbacks,
            logger=loggers or False,
            plugins=[AtomicCheckpointIO(), *cluster_environment()],
            default_root_dir=config.run_dir,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_model_summary=False,
        )
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise InstsegError(f"trainer: {error}") from error


def started_processes(trainer: DictConfig) -> dict[str, int]:
    """``devices`` and ``num_nodes`` as torchrun or srun has started the ranks; InstsegError where others are typed."""
    launch = external_launch()
    if launch is None or launch.world_size == 1:
        return {}
    started = {"devices": launch.local_size, "num_nodes": launch.world_size // launch.local_size}
    for key, unset in (("devices", "auto"), ("num_nodes", 1)):
        if trainer[key] not in (unset, started[key], str(started[key])):
            raise InstsegError(
                f"trainer.{key}={trainer[key]}, but the launcher has started {started['devices']} processes on each of "
                f"{started['num_nodes']} machines; leave trainer.{key} out"
            )
    return started


def cluster_environment() -> list[ClusterEnvironment]:
    """In a job of SLURM: its ranks without Lightning's requeueing, which ``stopping`` does between two steps.

    A single task starts other ranks itself, as without SLURM; Lightning would wait for tasks that there are not.
    """
    if "SLURM_JOB_ID" not in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return []
    return [SLURMEnvironment(auto_requeue=False) if ranks_are_started_externally() else LightningEnvironment()]


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as plain containers."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def build_writers(config: DictConfig) -> dict[str, Writer]:
    """Build the writers of predictions, by their names in the configuration."""
    writers = {f"{name}": _build(node) for name, node in config.writers.items() if node is not None}
    for name, writer in writers.items():
        if not isinstance(writer, Writer):
            raise InstsegError(f"writers.{name}: expected a Writer, found {type(writer).__name__}")
    return writers


def build_trained_model(config: DictConfig, typed: Mapping[str, Any]) -> TrainedModel:
    """From a checkpoint with the prediction options that were typed, or from published weights with COCO's names."""
    if config.checkpoint:
        return load_trained_model(find_checkpoint(config.checkpoint, Path(config.outputs)), typed)
    categories = Categories(coco_category_names())
    model = build_model(config, categories, weights=config.weights)
    if model.weights_report is None or not model.weights_report.is_complete:
        raise InstsegError(
            f"weights={config.weights} does not hold all of the network for COCO's categories, it would guess: "
            "use weights=coco, or checkpoint= for a model of your own"
        )
    return TrainedModel(model.eval(), categories, COCO_MIN_SIZE, COCO_MAX_SIZE, {})
