"""Stopping of all ranks at the same step when one receives a signal, from Ctrl-C or from a scheduler.

A signal reaches the ranks at different moments of their steps, or only one of them. A rank that stopped at once to
write a checkpoint would leave the others waiting in a collective operation that it never joins.
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

import torch
import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch._C._distributed_c10d import TCPStore

from instseg.distributed.failure_note import NOTE_VARIABLE
from instseg.distributed.interruption import InterruptedTogether, TerminatedTogether
from instseg.training.progress import is_between_optimizer_steps

log = logging.getLogger(__name__)

OF_USERS = (signal.SIGINT, signal.SIGTERM)
OF_SLURM = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))  # not on Windows
STOP = "stop"
AHEAD = 3
"""Batches from the announcement to the stop: another rank may be one batch ahead, and its host one ahead of its GPU."""
LOOK_EVERY = 10
"""Batches of a validation between two checks, at which the ranks wait for each other."""
ECHO_SECONDS = 2.0
"""A signal repeated within this time is the same one: a scheduler sends it to all processes, and their parent, too."""

Handler = Callable[[int, FrameType | None], object] | int | None


class StopTogether(Callback):
    """A stop after a signal, before a batch of the training or of its validation that all ranks agree on.

    In a single process SIGINT and SIGTERM are handled by ``interruption``. In a SLURM job SIGUSR1
    (``sbatch --signal=USR1@120``) and SIGUSR2 (submitit's) stop the run, too, and have the job queued again. Outside
    the training loop there is nothing to save: signals stop the run at once, as does a second SIGINT or SIGTERM.

    Args:
        is_first_rank: True on the rank that asks the scheduler for more time.
    """

    def __init__(self, is_first_rank: bool = True) -> None:
        self.is_first_rank = is_first_rank
        self.signum: int | None = None
        self.received_at = 0.0
        self.is_training = self.has_asked = False
        self.stop_at: int | None = None
        self.num_batches = 0
        self.num_common = 0  # batches of a validation that every rank has
        self.before: dict[int, Handler] = {}
        self.store: TCPStore | None = None  # None for a single process

    # --- receiving ---

    @contextmanager
    def listening_to_slurm(self) -> Iterator[None]:
        """Handle the signals of SLURM in a job of its own, until the context ends."""
        if "SLURM_JOB_ID" in os.environ:
            self.before = {signum: signal.signal(signum, self._note) for signum in OF_SLURM}
        try:
            yield
        finally:
            for signum, handler in self.before.items():
                signal.signal(signum, handler)

    def _listen_to_users(self, trainer: Trainer) -> bool:
        """Replace Lightning's handlers on several ranks; Lightning restores them after each stage."""
        together = trainer.world_size > 1 and dist.is_initialized()
        for signum in OF_USERS if together else ():
            signal.signal(signum, self._note)
        return together

    def _note(self, signum: int, frame: FrameType | None) -> None:
        is_first, now = self.signum is None, time.monotonic()
        if not is_first and now - self.received_at < ECHO_SECONDS:
            return
        self.signum, self.received_at = self.signum or signum, now
        if not self.is_training or (not is_first and signum in OF_USERS):
            self._obey(signum)

    def _obey(self, signum: int) -> None:
        """Stop at once; at a time limit only the first rank does, after it has asked for more time."""
        if signum in OF_SLURM and not self.is_first_rank:
            return
        self.queue_again()
        raise KeyboardInterrupt if self.signum == signal.SIGINT else SIGTERMException(128 + signum)

    # --- stopping ---

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Defer signals to the next batch."""
        self.is_training = True
        self.store = shared_store() if self._listen_to_users(trainer) else None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on signals at once from here on."""
        self.is_training = False

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on a signal that was received after the last batch of the training."""
        self._listen_to_users(trainer)
        if self.signum is not None:
            self._obey(self.signum)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out how many batches of a validation all ranks have."""
        if trainer.state.fn != TrainerFn.FITTING:
            self._listen_to_users(trainer)
        elif self.store is not None:
            mine = torch.tensor(sum(trainer.num_val_batches), device=trainer.strategy.root_device)
            self.num_common = int(trainer.strategy.reduce(mine, reduce_op="min"))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Stop where all ranks agreed to, and no accumulated gradients are left over."""
        self.num_batches += 1
        accumulated = int(trainer.accumulate_grad_batches)
        self._agree(AHEAD + accumulated)
        if self.stop_at is not None and self.num_batches >= self.stop_at and batch_idx % accumulated == 0:
            self._stop(f"before step {trainer.global_step}")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop in a validation where all ranks agree to; it is repeated after resuming."""
        if self.is_training and is_between_optimizer_steps(trainer) and self._agree_in_validation(trainer, batch_idx):
            self._stop("in a validation, which will be repeated")

    def _stop(self, where: str) -> None:
        log.info("Stopping %s, after a signal.", where)
        raise InterruptedTogether if self.signum == signal.SIGINT else TerminatedTogether

    def _agree(self, ahead: int) -> None:
        """Agree on a batch to stop before: the first rank with a signal names one that no rank can have begun."""
        if self.stop_at is not None or (self.store is None and self.signum is None):
            return
        if self.store is None:
            self.stop_at = self.num_batches
            return
        if self.signum is not None:
            self.store.compare_set(STOP, "", f"{self.num_batches + ahead} {self.signum}")
        if self.store.check([STOP]):
            self.stop_at, self.signum = (int(word) for word in self.store.get(STOP).split())

    def _agree_in_validation(self, trainer: Trainer, batch_idx: int) -> bool:
        """Tell whether any rank received a signal; no gradients keep the ranks together here, so they wait to agree."""
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

    # --- resuming ---

    def queue_again(self) -> None:
        """Ask the scheduler to queue the job again, once; by submitit's handler if there is one."""
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
    """Run a trainer; after a stop by a signal the exit code names it, and SLURM is asked for more time.

    Args:
        trainer: a trainer that was built with the callback.
        callback: the callback.
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
        except SystemExit as end:  # Lightning's answer to Ctrl-C
            if not isinstance(end.__context__, KeyboardInterrupt):
                raise
            sys.exit(128 + signal.SIGINT)


def shared_store() -> TCPStore:
    """Return a key-value store that the first rank keeps; all ranks must call it."""
    is_first = dist.get_rank() == 0
    address, port = os.environ["MASTER_ADDR"], [0]
    if is_first:
        store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
        port = [store.port]
    dist.broadcast_object_list(port)
    return store if is_first else TCPStore(address, port[0], is_master=False, wait_for_workers=False)


def requeue(job: str) -> None:
    """Ask SLURM to start the job again when there is room; it resumes in the same run folder."""
    result = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        log.info("SLURM will start job %s again.", job)
    else:
        log.error("SLURM did not take job %s back into its queue: %s", job, result.stderr.strip())
