"""All ranks stop at the same step when one is told to: by Ctrl-C, or by a scheduler that wants the machine.

A signal reaches the ranks at different moments of their steps, or reaches one alone. A rank that stopped at once, to
write a checkpoint, would leave the others in a collective operation that it never joins.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from instseg.rank_watch import NOTE

log = logging.getLogger(__name__)

STOP = "stop"
AHEAD = 3
"""Batches between a rank's word and the stop: another may be one further, its processor one ahead of its GPU."""

Handler = Callable[[int, FrameType | None], Any] | int | None


class StopTogether(Callback):
    """Turns a signal into a stop before a batch that all ranks agree on.

    What Lightning does then is what it does for a single process: SIGINT ends the run as Ctrl-C does (a second one at
    once), everything else as SIGTERM. A single process leaves these two to Lightning. Where SLURM has started the
    job, SIGUSR1 (``sbatch --signal=USR1@120``) and SIGUSR2 (submitit's) stop it and have it queued again.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.stop_at: int | None = None
        self.num_batches = 0
        self.before: dict[int, Handler] = {}
        self.store: Any = None  # of torch.distributed; None for a single process

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Here Lightning has installed its own handlers, which these replace."""
        together = trainer.world_size > 1 and dist.is_initialized()
        signals = [signal.SIGINT, signal.SIGTERM] if together else []
        signals += [signal.SIGUSR1, signal.SIGUSR2] if "SLURM_JOB_ID" in os.environ else []
        self.store = shared_store() if together else None
        for signum in signals:
            self.before[signum] = signal.signal(signum, self._note)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = self.signum or signum

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Counts batches; with accumulated gradients the stop is where none are left over."""
        self.num_batches += 1
        accumulated = int(trainer.accumulate_grad_batches)
        self._agree(AHEAD + accumulated)
        if self.stop_at is not None and self.num_batches >= self.stop_at and batch_idx % accumulated == 0:
            log.info("Stopping before step %d, as asked.", trainer.global_step)
            raise KeyboardInterrupt if self.signum == signal.SIGINT else SIGTERMException

    def _agree(self, ahead: int) -> None:
        """The first rank that was told names a batch that no rank can have begun; all read it before they do."""
        if self.stop_at is not None or (self.store is None and self.signum is None):
            return
        if self.store is None:
            self.stop_at = self.num_batches
            return
        if self.signum is not None:
            self.store.compare_set(STOP, "", f"{self.num_batches + ahead} {self.signum}")
        if self.store.check([STOP]):
            self.stop_at, self.signum = (int(word) for word in self.store.get(STOP).split())

    def queue_again(self) -> None:
        """What the signal asks of the scheduler, by submitit's own handler where it has one."""
        if self.signum not in (signal.SIGUSR1, signal.SIGUSR2) or NOTE in os.environ:
            return  # a sweep that has started this command answers its scheduler itself
        handler = self.before.get(self.signum)
        if callable(handler):
            handler(self.signum, None)
        else:
            requeue(os.environ["SLURM_JOB_ID"])


@contextmanager
def stopping_together(trainer: Trainer) -> Iterator[None]:
    """Around a training: when a scheduler's signal has ended it, the exit code says so, and SLURM is asked for more."""
    callback = StopTogether()
    trainer.callbacks.insert(0, callback)  # type: ignore[attr-defined]
    try:
        yield
    except SIGTERMException:
        if not trainer.is_global_zero:  # an error code here might end the first rank before it has asked
            sys.exit(0)
        callback.queue_again()
        sys.exit(128 + (callback.signum or signal.SIGTERM))


def shared_store() -> Any:
    """A key-value store that the first rank keeps. Called by all ranks together."""
    is_first = dist.get_rank() == 0
    address, port = os.environ["MASTER_ADDR"], [0]
    if is_first:
        store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
        port = [store.port]
    dist.broadcast_object_list(port)
    return store if is_first else TCPStore(address, port[0], is_master=False, wait_for_workers=False)


def requeue(job: str) -> None:
    """Have SLURM start the job again, as soon as there is room; it goes on in the same run folder."""
    result = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        log.info("SLURM will start job %s again.", job)
    else:
        log.error("SLURM did not take job %s back into its queue: %s", job, result.stderr.strip())
