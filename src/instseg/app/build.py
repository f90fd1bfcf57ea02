"""The parts of a run, built from its config: data set, loaders, model, module, trainer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from instseg.app.check_config import OWN_TRAINER_KEYS
from instseg.app.config import Node, RunConfig, TrainerConfig
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.core.errors import InstsegError
from instseg.data.datamodule import InstanceDataModule
from instseg.data.prepared import PreparedDataset
from instseg.data.transforms.augmentation import Augmentation
from instseg.distributed.rank_launcher import RankCommand, start_ranks_with
from instseg.runs.external_launch import external_launch, ranks_are_started_externally

Part = TypeVar("Part")


def build(node: Mapping[str, object], *args: object, **kwargs: object) -> object:
    """Call what a node's ``_target_`` names, with the node's other keys.

    Args:
        node: plain containers.
        args: positional arguments.
        kwargs: further keywords; they replace the node's.

    Raises:
        InstsegError: what the user can fix is raised as it was, not wrapped.
    """
    wanted = {key: value for key, value in node.items() if key != "suggested"}  # those are defaults of other groups
    try:
        part: object = instantiate(wanted, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InstsegError):
            raise error.__cause__ from error.__cause__.__cause__  # "from error" would make a circle of causes
        raise
    return part


def of_kind(part: object, kind: type[Part], what: str) -> Part:
    """Return the part; InstsegError where it is of another kind than its group asks for.

    Args:
        part: of any kind.
        kind: that its group asks for.
        what: the key, for messages.
    """
    if not isinstance(part, kind):
        raise InstsegError(f"{what}: expected {kind.__name__}, found {type(part).__name__}")
    return part


def build_call(node: Mapping[str, object], what: str) -> Callable[..., object]:
    """Return the partial call that a node with ``_partial_`` describes.

    Args:
        node: plain containers with a ``_target_``.
        what: the key, for messages.
    """
    part = build(node)
    if not callable(part):
        raise InstsegError(f"{what}: expected a function, found {type(part).__name__}")

    def call(*args: object) -> object:
        return part(*args)

    return call


def build_dataset(config: RunConfig) -> PreparedDataset:
    """Prepare the data set: read, select, split and index its labels, or open them again."""
    return of_kind(build(config.dataset), PreparedDataset, "dataset")


def build_datamodule(config: RunConfig, prepared: PreparedDataset) -> InstanceDataModule:
    """Build the loaders over a prepared data set.

    Args:
        config: of the run.
        prepared: the data set.
    """
    augmentation = of_kind(build(config.augmentation), Augmentation, "augmentation")
    prepared = prepared.with_fraction_of_training(config.train_fraction, config.seed)
    return InstanceDataModule(
        prepared, augmentation, config.batch_size, config.num_workers, config.seed, config.overfit_images
    )


def build_optimizer(node: Node) -> Callable[[nn.Module, int], Optimizer]:
    """Return the call that makes the optimizer from (model, effective batch size)."""
    call = build_call(node, "optimizer")
    return lambda model, batch_size: of_kind(call(model, batch_size), Optimizer, "optimizer")


def build_scheduler(node: Node) -> Callable[[Optimizer, int], LRScheduler]:
    """Return the call that makes the schedule from (optimizer, number of optimizer steps)."""
    call = build_call(node, "scheduler")
    return lambda optimizer, num_steps: of_kind(call(optimizer, num_steps), LRScheduler, "scheduler")


def build_trainer(config: RunConfig, rank_command: RankCommand, *further: Callback) -> pl.Trainer:
    """Build Lightning's Trainer with the configured callbacks and loggers.

    Args:
        config: of the run.
        rank_command: the command that starts another rank on this machine.
        further: callbacks besides the configured ones.

    Raises:
        InstsegError: Lightning refuses an argument.
    """
    configured = {f"callbacks.{name}": node for name, node in config.callbacks.items() if node is not None}
    callbacks = [*further, *(of_kind(build(node), Callback, key) for key, node in configured.items())]
    if not config.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    try:
        trainer = pl.Trainer(
            **_trainer_arguments(config),  # type: ignore[arg-type]  # checked by Lightning
            callbacks=callbacks,
            logger=[build(node) for node in config.logger.values() if node is not None] or False,  # type: ignore[misc]
            plugins=[AtomicCheckpointIO(), *cluster_environment()],
            default_root_dir=config.folder,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_model_summary=False,
        )
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise InstsegError(f"trainer: {error}") from error
    start_ranks_with(trainer, rank_command)
    return trainer


def _trainer_arguments(config: RunConfig) -> Node:
    options = {key: value for key, value in config.trainer_options.items() if key not in OWN_TRAINER_KEYS}
    options.pop("_target_", None)
    options.update(started_processes(config.trainer))
    if isinstance(config.trainer.strategy, dict):
        options["strategy"] = build(config.trainer.strategy)
    return options


def started_processes(trainer: TrainerConfig) -> dict[str, int]:
    """Return ``devices`` and ``num_nodes`` as torchrun or srun has started the ranks; nothing without them.

    Raises:
        InstsegError: other numbers are given.
    """
    launch = external_launch()
    if launch is None or launch.world_size == 1:
        return {}
    started = {"devices": launch.local_size, "num_nodes": launch.world_size // launch.local_size}
    for key, given, unset in (("devices", trainer.devices, "auto"), ("num_nodes", trainer.num_nodes, 1)):
        if given not in (unset, started[key], str(started[key])):
            raise InstsegError(
                f"trainer.{key}={given}, but the launcher has started {started['devices']} processes on each of "
                f"{started['num_nodes']} machines; leave trainer.{key} out"
            )
    return started


def cluster_environment() -> Sequence[ClusterEnvironment]:
    """Return the environment of a SLURM job, without Lightning's requeueing, which happens between two steps here.

    A single task starts other ranks itself, as without SLURM; Lightning would wait for tasks that do not exist.
    """
    if "SLURM_JOB_ID" not in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return []
    return [SLURMEnvironment(auto_requeue=False) if ranks_are_started_externally() else LightningEnvironment()]


def path_of(folder: str) -> Path:
    """Return the absolute path of a folder that may begin with ``~``."""
    return Path(folder).expanduser().absolute()
