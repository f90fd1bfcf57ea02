"""Processes that this one starts or was started by: ranks of its job, and jobs of a sweep that need several."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

import torch
from pytorch_lightning.utilities import rank_zero_only

from instseg.app.config import RunConfig, TrainerConfig
from instseg.app.job import Job
from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.distributed.failure_note import NOTE_VARIABLE, RANK_ENDED, read_failure_note
from instseg.distributed.rank_launcher import RankCommand, same_imports
from instseg.runs.external_launch import ranks_are_started_externally
from instseg.runs.outcome import read_metrics
from instseg.sweeps.failures import ProcessDiedError, Pruned

TRAIN = (sys.executable, "-P", "-m", "instseg", "train")
RANK_JOB = "train_ddp_process_"  # the job's name in the ranks that this package starts
OF_THE_SWEEP = ("hydra.mode", "hydra.sweep", "hydra/sweeper", "hydra/launcher", "hydra.launcher", "hydra.run.dir")
GROUPS_OF_THE_SWEEP = ("launcher", "sweep")
PARENT_POLL_SECONDS = 1.0
FORWARDED_BY_SLURM = (signal.SIGUSR1, signal.SIGUSR2)


def command_of_job(job: Job, config: RunConfig) -> list[str]:
    """Return the command that runs this job alone, in its run folder.

    Args:
        job: of this process.
        config: of the run.
    """
    hydra = [o for o in job.hydra_overrides if not o.lstrip("+~").startswith(OF_THE_SWEEP)]
    task = [o for o in job.overrides if o.partition("=")[0] not in (*GROUPS_OF_THE_SWEEP, "resume")]
    resumed = [quoted("resume", config.resume)] if config.resume else []
    folders = [part for folder in job.config_dirs for part in ("--config-dir", str(folder))]
    return [*TRAIN, *folders, *task, *resumed, *hydra, "hydra.mode=RUN", quoted("hydra.run.dir", config.run_dir)]


def rank_command(job: Job, config: RunConfig) -> RankCommand:
    """Return the command that starts another rank of this job on this machine.

    Args:
        job: of this process.
        config: of the run.
    """

    def command(local_rank: int) -> list[str]:
        name = f"hydra.job.name={RANK_JOB}{local_rank}"
        return [*command_of_job(job, config), name, "hydra.output_subdir=null"]  # the first rank stores the config

    return RankCommand(command, job.cwd)


def end_with_parent_if_started(job: Job) -> None:
    """Have this process end with the one that started it, however that ends, where one did."""
    if NOTE_VARIABLE in os.environ or job.name.startswith(RANK_JOB):
        parent = os.getppid()

        def watch() -> None:
            while os.getppid() == parent:
                time.sleep(PARENT_POLL_SECONDS)
            os._exit(1)

        threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def quiet_other_ranks() -> None:
    """Let the first rank speak for all; a warning or an error is heard from each."""
    if getattr(rank_zero_only, "rank", 0):
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)


def needs_own_processes(job: Job, trainer: TrainerConfig) -> bool:
    """Tell whether this is a job of a sweep for which several processes are to be started.

    Args:
        job: of this process.
        trainer: its settings.
    """
    return job.is_sweep and not ranks_are_started_externally() and num_local_processes(trainer) != 1


def num_local_processes(trainer: TrainerConfig) -> int:
    """Return how many processes Lightning will run on this machine, this one included."""
    num_gpus = torch.cuda.device_count() if trainer.accelerator != "cpu" else 0
    if trainer.devices in ("auto", -1, "-1"):
        return max(1, num_gpus)
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    text = str(trainer.devices)
    return len(text.strip(",").split(",")) if "," in text else int(text)


def run_in_own_processes(job: Job, config: RunConfig) -> float | None:
    """Run a job of a sweep as a command of its own; its ranks live and die together, and the sweep outlives them.

    Args:
        job: of this process.
        config: of the run.

    Returns:
        The monitored metric.

    Raises:
        InstsegError: the command failed, or the launcher gives each job one device.
    """
    if job.launcher == "joblib":
        raise InstsegError(
            f"launcher=joblib gives each job one device, trainer.devices={config.trainer.devices} needs more: leave "
            "the launcher out, and the jobs run one after the other, or use launcher=slurm"
        )
    note = config.folder / ".failure.json"
    note.unlink(missing_ok=True)  # of an attempt that was killed before it was read
    process = subprocess.Popen(
        command_of_job(job, config), env={**os.environ, **same_imports(), NOTE_VARIABLE: str(note)}
    )
    code = _wait(process)
    if code:
        raise _failure(note, code, config.folder)
    return read_metrics(config.folder).get(config.monitor.metric)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code; signals of a scheduler are forwarded, and obeyed when the process has ended."""
    received: list[int] = []

    def forward(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        process.send_signal(signum)

    forwarded: Iterable[signal.Signals] = [
        signal.SIGTERM, *(FORWARDED_BY_SLURM if "SLURM_JOB_ID" in os.environ else ())
    ]  # fmt: skip
    before = {signum: signal.signal(signum, forward) for signum in forwarded}
    try:
        code = process.wait()
    except KeyboardInterrupt:  # which the other process has received as well, and is ending by
        process.wait()
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if received:
        handler = before[signal.Signals(received[0])]
        if callable(handler):
            handler(received[0], None)
        raise SystemExit(128 + received[0])
    return code


def _failure(note: Path, code: int, run_dir: Path) -> Exception:
    """Return the error that a command has noted, as far as another process can raise it.

    ProcessDiedError where the first rank was killed by a signal, or another one has ended without a word.
    """
    if not note.is_file():
        said = f"the processes of this job ended with code {code}; their output is in {run_dir}"
        return ProcessDiedError(said) if code < 0 else RuntimeError(said)
    noted = read_failure_note(note)
    note.unlink()
    if noted.kind == RANK_ENDED:
        return ProcessDiedError(noted.message)
    if noted.kind == Pruned.__name__:
        return Pruned(noted.message, math.nan if noted.value is None else noted.value)
    if noted.kind == InstsegError.__name__:
        return InstsegError(noted.message)
    failure: Exception = type(noted.kind, (RuntimeError,), {})(noted.message)
    return failure
