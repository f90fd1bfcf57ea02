"""Lightning's Trainer, with the callbacks, the loggers and the ranks of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Checkpoint, ProgressBar

from instseg.app.build_loggers import build_loggers
from instseg.app.check_calls import OWN_TRAINER_KEYS
from instseg.app.config import Node, RunConfig, TrainerConfig
from instseg.app.instantiate import build, of_kind
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.distributed.rank_launcher import RankCommand, start_ranks_with
from instseg.runs.external_launch import external_launch, ranks_are_started_externally
from instseg.training.evaluated_images import EvaluatedImagesKeeper


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
    kept = [EvaluatedImagesKeeper()] if config.keeps_predictions else []
    callbacks = [*further, *kept, *(of_kind(build(node), Callback, key) for key, node in configured.items())]
    if not config.trainer.enable_progress_bar:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    try:
        make: Callable[..., pl.Trainer] = pl.Trainer  # which checks its arguments itself
        trainer = make(
            **_trainer_arguments(config),
            callbacks=callbacks,
            logger=build_loggers(config) or False,
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
                f"trainer.{key}={given}, but the launcher has started "
                f"{plural(int(started['devices']), 'process')} on each of "
                f"{plural(int(started['num_nodes']), 'machine')}; leave trainer.{key} out"
            )
    return started


def cluster_environment() -> Sequence[ClusterEnvironment]:
    """Return the environment of a SLURM job, without Lightning's requeueing, which happens between two steps here.

    A single task starts other ranks itself, as without SLURM; Lightning would wait for tasks that do not exist.
    """
    if "SLURM_JOB_ID" not in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return []
    return [SLURMEnvironment(auto_requeue=False) if ranks_are_started_externally() else LightningEnvironment()]
