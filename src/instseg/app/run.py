"""One stage of one config in its run folder: the entry of ``train.py``, for the command line and for sweeps."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from omegaconf import DictConfig

from instseg.app.check_machine import checked_for_this_machine
from instseg.app.check_parts import check_parts
from instseg.app.config import RunConfig
from instseg.app.earlier_run import of_earlier_run
from instseg.app.job import Job, current_job
from instseg.app.own_process import (
    end_with_parent_if_started,
    needs_own_processes,
    quiet_other_ranks,
    run_in_own_processes,
)
from instseg.app.stages import stage_of
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.distributed.device_slots import take_slot
from instseg.distributed.failure_note import note_failure
from instseg.runs.external_launch import ranks_are_started_externally

NOISE = (  # warnings of libraries that a user can do nothing about
    ".*isinstance.treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*when logging on epoch level in distributed setting.*",  # our metrics are of all ranks, and the same on each
    ".*Checkpoint directory .* exists and is not empty.*",  # of a resumed run, which owns it
    ".*`srun` command is available on your system but is not used.*",
    ".*Grad strides do not match bucket view strides.*",  # of 1x1 convolutions, whose strides have no meaning
)


def run(composed: DictConfig) -> float | None:
    """Run the stage that a composed config asks for.

    Returns:
        The monitored metric, for sweeps.

    Raises:
        InstsegError: anything the user can fix, before any work where it can be known before.
    """
    job = current_job()
    take_a_device(job)
    with one_job(job):
        config = of_earlier_run(checked_for_this_machine(composed))
        _quiet_libraries(config)
        if needs_own_processes(job, config.trainer):
            return run_in_own_processes(job, config)
        check_parts(config)
        run_stage = stage_of(config.stage)
        pl.seed_everything(config.seed, workers=True, verbose=False)
        metrics = run_stage(config, job)
        return metrics.get(config.monitor.metric)


def _quiet_libraries(config: RunConfig) -> None:
    for pattern in NOISE:
        warnings.filterwarnings("ignore", pattern)
    if not config.trainer.profiler:  # whose table Lightning logs at INFO, the level that its import sets
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def take_a_device(job: Job) -> None:
    """Restrict this process to its part of the machine where several jobs of a sweep run at once."""
    if job.is_sweep and job.launcher == "joblib":
        slot = take_slot(job.jobs_at_once)
        torch.set_num_threads(max(1, len(slot.cores)))


@contextmanager
def one_job(job: Job) -> Iterator[None]:
    """Hold everything that the processes of one job do together; a failure is noted for whoever started this one."""
    _check_start(job)
    quiet_other_ranks()
    end_with_parent_if_started(job)
    try:
        yield
    except Exception as error:
        note_failure(type(error).__name__, str(error), getattr(error, "value", None))
        raise
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def _check_start(job: Job) -> None:
    if job.is_sweep and ranks_are_started_externally() and "SUBMITIT_FOLDER" not in os.environ:
        raise InstsegError(
            "torchrun and srun start the processes of one run; a sweep starts those of each job itself: "
            f"{typed_command('train')} -m …, or launcher=slurm"
        )
