"""One process group per Hydra job: what Lightning starts as other ranks is this job, not the whole sweep."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.errors import InstsegError
from instseg.core.overrides import key_of, quoted
from instseg.distributed.device_slots import take_slot
from instseg.distributed.failure_note import NOTE_VARIABLE, RANK_ENDED, note_failure, read_failure_note
from instseg.runs.external_launch import ranks_are_started_externally
from instseg.runs.folders import is_begun_earlier
from instseg.sweeps.failures import ProcessDiedError, Pruned

SWEEP_ONLY = ("hydra.mode", "hydra.sweep", "hydra/sweeper", "hydra/launcher", "hydra.launcher", "hydra.run.dir")
GROUPS_OF_SWEEPS = ("launcher", "sweep")
TRAIN = Path(__file__).parents[3] / "train.py"
CHILD = "train_ddp_process_"  # what Lightning calls the ranks that it starts
PARENT_POLL_SECONDS = 1.0


@contextmanager
def one_job(config: DictConfig) -> Iterator[None]:
    """Everything that several processes may do together belongs inside: the other ranks replay ``sys.argv``.

    Lightning appends ``hydra.run.dir=<this run's>`` to it, so all ranks share one folder.
    """
    argv = list(sys.argv)
    if HydraConfig.initialized():
        _check_start()
        _quiet_other_ranks()
        job = HydraConfig.get()
        with read_write(job.run):  # type: ignore[arg-type]  # the other ranks must not make a folder of their own
            job.run.dir = job.runtime.output_dir
        if NOTE_VARIABLE in os.environ or job.job.name.startswith(CHILD):
            _end_with_parent()
        _go_on_if_begun(config)
    try:
        yield
    except Exception as error:
        note_failure(type(error).__name__, str(error), getattr(error, "value", None))
        raise
    finally:
        sys.argv = argv
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def _check_start() -> None:
    if (
        HydraConfig.get().mode == RunMode.MULTIRUN
        and ranks_are_started_externally()
        and "SUBMITIT_FOLDER" not in os.environ
    ):
        raise InstsegError(
            "torchrun and srun start the processes of one run; a sweep starts those of each job itself: "
            "python train.py -m …, or launcher=slurm"
        )


def _quiet_other_ranks() -> None:
    """The first rank speaks for all; a warning or an error is heard from each."""
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)


def _go_on_if_begun(config: DictConfig) -> None:
    """A job that its scheduler has started again resumes the run that it has begun, and so do ranks that it starts."""
    run_dir = Path(config.run_dir)
    if config.stage == "fit" and is_begun_earlier(run_dir):
        config.resume = str(run_dir)
        sys.argv = [*_without_resume(sys.argv), quoted("resume", run_dir)]


def _without_resume(arguments: Iterable[str]) -> list[str]:
    return [argument for argument in arguments if not argument.startswith("resume=")]


def _end_with_parent() -> None:
    """Do not outlive the process that has started this one, however it ends."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def take_a_device() -> None:
    """Where several jobs run on this machine at once, keep to a part of it."""
    if _is_sweep() and HydraConfig.get().runtime.choices.get("launcher") == "joblib":
        slot = take_slot(int(HydraConfig.get().launcher.n_jobs))
        torch.set_num_threads(max(1, len(slot.cores)))


def is_sweep_of_ranks(config: DictConfig) -> bool:
    """Whether this is a job of a sweep for which Lightning is to start several processes."""
    return _is_sweep() and not ranks_are_started_externally() and num_local_processes(config.trainer) != 1


def _is_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def num_local_processes(trainer: DictConfig) -> int:
    """How many processes Lightning will start on this machine, itself included."""
    devices, num_gpus = trainer.devices, torch.cuda.device_count() if trainer.accelerator != "cpu" else 0
    if devices in ("auto", -1, "-1"):
        return max(1, num_gpus)
    if OmegaConf.is_list(devices):
        return len(devices)
    text = str(devices)
    return len(text.strip(",").split(",")) if "," in text else int(text)


def in_own_processes(config: DictConfig) -> float | None:
    """Run a job of a sweep as a command of its own, and return its monitored metric.

    Its ranks live and die together, and the sweep outlives them. InstsegError when the command fails.
    """
    job, run_dir = HydraConfig.get(), Path(config.run_dir)
    if job.runtime.choices.get("launcher") == "joblib":
        raise InstsegError(
            f"launcher=joblib gives each job one device, trainer.devices={config.trainer.devices} needs more: leave "
            "the launcher out, and the jobs run one after the other, or use launcher=slurm"
        )
    _go_on_if_begun(config)
    kept = [override for override in job.overrides.hydra if not override.lstrip("+~").startswith(SWEEP_ONLY)]
    task = [override for override in job.overrides.task if override.partition("=")[0] not in GROUPS_OF_SWEEPS]
    task = [*_without_resume(task), *([quoted("resume", config.resume)] if config.resume else [])]
    command = [sys.executable, str(TRAIN), *task, *kept, "hydra.mode=RUN", quoted("hydra.run.dir", run_dir)]
    note = run_dir / ".failure.json"
    note.unlink(missing_ok=True)  # of an attempt that was killed before it was read
    process = subprocess.Popen(command, env={**os.environ, NOTE_VARIABLE: str(note)})
    code = _wait(process)
    if code:
        raise _failure(note, code, run_dir)
    metric: float | None = json.loads((run_dir / "metrics.json").read_text()).get(config.monitor.metric)
    return metric


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. What a scheduler tells this process is told to that one, and obeyed when that has ended."""
    told: list[int] = []

    def forward(signum: int, frame: FrameType | None) -> None:
        told.append(signum)
        process.send_signal(signum)

    forwarded = [signal.SIGTERM, *([signal.SIGUSR1, signal.SIGUSR2] if "SLURM_JOB_ID" in os.environ else [])]
    before = {signum: signal.signal(signum, forward) for signum in forwarded}
    try:
        code = process.wait()
    except KeyboardInterrupt:  # which the other has got as well, and is ending by
        process.wait()
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if told:
        handler = before[signal.Signals(told[0])]
        if callable(handler):
            handler(told[0], None)
        raise SystemExit(128 + told[0])
    return code


def _failure(note: Path, code: int, run_dir: Path) -> Exception:
    """The error that a command has noted, as far as another process can raise it: its kind by name, and its words.

    ProcessDiedError where the first rank was killed by a signal, or another one has ended without a word.
    """
    if not note.is_file():
        said = f"the processes of this job ended with code {code}; what they said is in {run_dir}"
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


def typed_model_options(config: DictConfig) -> dict[str, Any]:
    """The model options given on the command line, such as {"box.score_threshold": 0.01}."""
    if not HydraConfig.initialized():
        return {}
    keys = [key_of(override) for override in HydraConfig.get().overrides.task]
    return {k.removeprefix("model."): OmegaConf.select(config, k) for k in keys if k.startswith("model.")}
