"""Slots of a machine for several jobs at once: a process keeps one GPU, or a fraction of the cores, until it ends.

Knows no torch: a GPU must be chosen before it is loaded.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.locks import lock_if_free

log = logging.getLogger(__name__)

JOBS_WITHOUT_GPU = 2
POLL_SECONDS = 1.0
_held = ExitStack()  # closed, and its locks released, when the process ends


@dataclass(frozen=True, slots=True)
class Slot:
    """The GPU and the cores that one job at a time may use."""

    number: int
    gpu: str | None
    cores: frozenset[int]

    @property
    def name(self) -> str:
        """The name of its lock file."""
        return f"gpu-{self.gpu}" if self.gpu is not None else f"cpu-{self.number}"


def visible_gpus() -> list[str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES lists, else every NVIDIA device of this machine."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*"))
    return sorted((match[1] for match in found if match), key=int)


def num_slots() -> int:
    """Return the number of jobs that this machine runs at once: one for each GPU; a few where it has none."""
    return len(visible_gpus()) or JOBS_WITHOUT_GPU


def slots(number: int) -> list[Slot]:
    """Return that number of slots, or one for each GPU where there are fewer; they divide the cores."""
    gpus: list[str | None] = [*visible_gpus()[:number]] or [None] * number
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    parts = [cores[i :: len(gpus)] or cores[i % len(cores) :][:1] if cores else [] for i in range(len(gpus))]
    return [Slot(i, gpu, frozenset(part)) for i, (gpu, part) in enumerate(zip(gpus, parts, strict=True))]


def gpus_of_a_job(accelerator: str, devices: object) -> int | None:
    """Return the number of GPUs to request from SLURM; None for a training on CPUs.

    Args:
        accelerator: of the trainer.
        devices: of the trainer: a number, a list, or ``auto``, which counts as one: the node's GPUs are not known here.
    """
    if accelerator == "cpu":
        return None
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    return int(str(devices)) if str(devices).isdecimal() else 1


def lock_folder() -> Path:
    """Return the folder of the locks, one for all sweeps of a user on this machine: two never use the same GPU."""
    return Path(tempfile.gettempdir()) / f"instseg-devices-{getpass.getuser()}"


@cache
def take_slot(number: int) -> Slot:
    """Restrict this process and its children to the first slot that is free, and wait until one is.

    Decided once for each process: a GPU that has been used cannot be exchanged for another one.

    Raises:
        InstsegError: more jobs are to run at once, ``number``, than there are GPUs: some would wait for processes that
            keep theirs until they end.
    """
    gpus = visible_gpus()
    if number < 1 or (gpus and number > len(gpus)):
        most = f"1 to {len(gpus)}, one for each GPU" if gpus else "1 or more"
        raise InstsegError(f"hydra.launcher.n_jobs={number}: expected {most}; left out, it is {num_slots()}")
    possible, has_said = slots(number), False
    while True:
        for slot in possible:
            with ExitStack() as attempt:
                if attempt.enter_context(lock_if_free(lock_folder() / f"{slot.name}.lock")):
                    _held.push(attempt.pop_all())
                    _keep_to(slot)
                    return slot
        if not has_said:
            has_said = True
            log.info("waiting for one of %s, which other jobs are using", ", ".join(slot.name for slot in possible))
        time.sleep(POLL_SECONDS)


def _keep_to(slot: Slot) -> None:
    if slot.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
    if slot.cores:
        os.sched_setaffinity(0, slot.cores)
