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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from instseg.distributed.failure_note import NOTE_VARIABLE
from instseg.distributed.interruption import InterruptedTogether, TerminatedTogether
from instseg.training.progress import is_between_optimizer_steps

log = logging.getLogger(__name__)

OF_USERS = (signal.SIGINT, signal.SIGTERM)
OF_SLURM = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))  # not on Windows
STOP = "stop"
AHEAD = 3
"""Batches between a rank's word and the stop: another may be one further, its processor one ahead of its GPU."""
LOOK_EVERY = 10
"""Batches of a validation between two looks of several ranks, which wait for each other there."""
ECHO_SECONDS = 2.0
"""What comes again so soon was sent once: to all processes by a scheduler, and on to them by what started them."""

Handler = Callable[[int, FrameType | None], Any] | int | None


class StopTogether(Callback):
    """Turns a signal into a stop before a batch of the training, or of its validation, that all ranks agree on.

    A single process handles SIGINT and SIGTERM by ``interruption``. Where SLURM has started the job, SIGUSR1
    (``sbatch --signal=USR1@120``) and SIGUSR2 (submitit's) stop it, too, and have it queued again. Outside of the
    training's loop there is nothing to save: there signals are obeyed at once, and so is a second SIGINT or SIGTERM.
    """

    def __init__(self, is_first_rank: bool = True) -> None:
        self.is_first_rank = is_first_rank
        self.signum: int | None = None
        self.heard_at = 0.0
        self.is_training = self.has_asked = False
        self.stop_at: int | None = None
        self.num_batches = 0
        self.num_common = 0  # batches of a validation that every rank has
        self.before: dict[int, Handler] = {}
        self.store: Any = None  # of torch.distributed; None for a single process

    # --- hearing ---

    @contextmanager
    def listening_to_slurm(self) -> Iterator[None]:
        if "SLURM_JOB_ID" in os.environ:
            self.before = {signum: signal.signal(signum, self._note) for signum in OF_SLURM}
        try:
            yield
        finally:
            for signum, handler in self.before.items():
                signal.signal(signum, handler)

    def _listen_to_users(self, trainer: Trainer) -> bool:
        """With several ranks, in place of Lightning's handlers, which it takes back after each of its stages."""
        together = trainer.world_size > 1 and dist.is_initialized()
        for signum in OF_USERS if together else ():
            signal.signal(signum, self._note)
        return together

    def _note(self, signum: int, frame: FrameType | None) -> None:
        is_first, now = self.signum is None, time.monotonic()
        if not is_first and now - self.heard_at < ECHO_SECONDS:
            return
        self.signum, self.heard_at = self.signum or signum, now
        if not self.is_training or (not is_first and signum in OF_USERS):
            self._obey(signum)

    def _obey(self, signum: int) -> None:
        """At once. When the time is up the first rank asks for more before it ends, and the others end with it."""
        if signum in OF_SLURM and not self.is_first_rank:
            return
        self.queue_again()
        raise KeyboardInterrupt if self.signum == signal.SIGINT else SIGTERMException(128 + signum)

    # --- stopping ---

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_training = True
        self.store = shared_store() if self._listen_to_users(trainer) else None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_training = False

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen_to_users(trainer)
        if self.signum is not None:  # heard after the last batch of the training
            self._obey(self.signum)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._listen_to_users(trainer)
        elif self.store is not None:
            mine = torch.tensor(sum(trainer.num_val_batches), device=trainer.strategy.root_device)
            self.num_common = int(trainer.strategy.reduce(mine, reduce_op="min"))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Counts batches; with accumulated gradients the stop is where none are left over."""
        self.num_batches += 1
        accumulated = int(trainer.accumulate_grad_batches)
        self._agree(AHEAD + accumulated)
        if self.stop_at is not None and self.num_batches >= self.stop_at and batch_idx % accumulated == 0:
            self._stop(f"before step {trainer.global_step}")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self.is_training and is_between_optimizer_steps(trainer) and self._is_told_in_validation(trainer, batch_idx):
            self._stop("in a validation, which will be repeated")

    def _stop(self, where: str) -> None:
        log.info("Stopping %s, as asked.", where)
        raise InterruptedTogether if self.signum == signal.SIGINT else TerminatedTogether

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

    def _is_told_in_validation(self, trainer: Trainer, batch_idx: int) -> bool:
        """Whether any rank was. Without gradients to wait for, ranks may be far apart: they are asked together."""
        if self.store is None:
            return self.signum is not None
        if batch_idx >= self.num_common or batch_idx % LOOK_EVERY:
            return False
        mine = self.signum
        if mine is not None:
            self.store.compare_set(STOP, "", f"{self.num_batches} {mine}")
        if not trainer.strategy.reduce_boolean_decision(mine is not None, all=False):
            return False
        self.signum = int(self.store.get(STOP).split()[1])
        return True

    # --- going on later ---

    def queue_again(self) -> None:
        """What the signal asks of the scheduler, once, by submitit's own handler where it has one."""
        if self.signum is None or self.signum not in OF_SLURM or self.has_asked or NOTE_VARIABLE in os.environ:
            return  # a sweep that has started this command answers its scheduler itself
        self.has_asked = True
        handler = self.before.get(self.signum)
        if callable(handler):
            handler(self.signum, None)
        else:
            requeue(os.environ["SLURM_JOB_ID"])


@contextmanager
def stopping_together(trainer: Trainer, callback: StopTogether) -> Iterator[None]:
    """Run a trainer: when a signal has ended it, the exit code says which, and SLURM is asked for more time.

    Args:
        trainer: that was built with the callback.
        callback: the one that stops it.
    """
    callback.is_first_rank = trainer.is_global_zero
    with callback.listening_to_slurm():
        try:
            yield
        except SIGTERMException:
            if not trainer.is_global_zero:  # an error code here might end the first rank before it has asked
                sys.exit(0)
            callback.queue_again()
            sys.exit(128 + (callback.signum or signal.SIGTERM))
        except SystemExit as end:  # by which Lightning answers Ctrl-C
            if not isinstance(end.__context__, KeyboardInterrupt):
                raise
            sys.exit(128 + signal.SIGINT)


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
