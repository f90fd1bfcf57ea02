"""A rank that dies ends the others within a second, with a message that names it.

Left alone, the others wait in their next collective operation for its timeout, half an hour. Every rank holds a
connection to the first one, which the system closes whenever and however the rank ends: nothing has to be sent in
time, and a rank that is merely busy is never taken for dead.
"""

from __future__ import annotations

import json
import logging
import os
import re
import selectors
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.distributed.interruption import StoppedTogether
from instseg.runs.folders import resume_command, saved_states

log = logging.getLogger(__name__)

DONE, FAILED, ENDED = "done", "failed", "ended"
CONNECT_SECONDS = 60.0
NOTE = "INSTSEG_FAILURE_NOTE"
"""Environment variable: the file in which a command that was started for somebody leaves why it failed."""
RANK_ENDED = "RankEndedError"
"""The kind of failure that is noted of a rank which could say nothing any more."""
CAUSE_SECONDS = 2.0
"""An error may only be the echo of another rank's death; so long it is held back for the news to come in."""
MESSAGE_BYTES = 65536

Die = Callable[[str, bool], None]
"""Called with what has happened, and whether it has been said already; does not return."""


class Member(Protocol):
    def leave(self, reason: str | None) -> None:
        """Say that this rank ends: well, or for a reason."""


class Hub:
    """The first rank's side: hears all others, and passes on that one of them has died."""

    def __init__(self, listener: socket.socket, world_size: int, token: str, die: Die) -> None:
        self.die, self.is_done = die, False
        self.names: dict[socket.socket, str] = {}
        self.done: set[socket.socket] = set()
        listener.settimeout(CONNECT_SECONDS)
        while len(self.names) < world_size - 1:
            connection = listener.accept()[0]
            connection.settimeout(CONNECT_SECONDS)
            given, _, name = _receive(connection).partition(" ")
            if given == token:  # else it is somebody who tries all ports
                connection.settimeout(None)
                self.names[connection] = name
        listener.close()
        threading.Thread(target=self._listen, daemon=True, name="rank-watch").start()

    def _listen(self) -> None:
        selector = selectors.DefaultSelector()
        for connection in self.names:
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                word, _, reason = _receive(peer).partition(" ")
                if word == DONE:
                    self.done.add(peer)
                    selector.unregister(peer)
                elif self.is_done:
                    return
                else:
                    self._tell(f"{self.names[peer]} has ended: {reason or 'killed, or by an error of its own'}")

    def _tell(self, message: str) -> None:
        for connection in self.names.keys() - self.done:
            _send(connection, f"{ENDED} {message}")
        self.die(message, False)

    def leave(self, reason: str | None) -> None:
        self.is_done = True
        for connection in self.names:
            _send(connection, DONE if reason is None else f"{ENDED} {describe_rank(0)} has ended: {reason}")


class Spoke:
    """Any other rank's side: its connection to the first rank."""

    def __init__(self, address: str, port: int, token: str, rank: int, die: Die) -> None:
        self.die, self.is_done = die, False
        self.connection = socket.create_connection((address, port), CONNECT_SECONDS)
        self.connection.settimeout(None)
        _send(self.connection, f"{token} {describe_rank(rank)}")
        threading.Thread(target=self._listen, daemon=True, name="rank-watch").start()

    def _listen(self) -> None:
        word, _, message = _receive(self.connection).partition(" ")
        if not (word == DONE or self.is_done):
            self.die(message or "rank 0 has ended: killed, or by an error of its own", bool(message))

    def leave(self, reason: str | None) -> None:
        self.is_done = True
        _send(self.connection, DONE if reason is None else f"{FAILED} {reason}")


def describe_rank(rank: int) -> str:
    return f"rank {rank} ({socket.gethostname()}, process {os.getpid()})"


def _send(connection: socket.socket, text: str) -> None:
    """Gives up quietly where the other side is gone: its own connection tells the first rank."""
    try:
        connection.sendall(text.replace("\n", " ").encode()[: MESSAGE_BYTES - 1] + b"\n")
    except OSError:
        log.debug("rank watch: %s is gone", connection)


def _receive(connection: socket.socket) -> str:
    """One line; empty where the other side is gone."""
    received = b""
    while not received.endswith(b"\n"):
        try:
            byte = connection.recv(1)
        except OSError:
            byte = b""
        if not byte:
            return ""
        received += byte
    return received.decode(errors="replace").strip()


class RankWatch(Callback):
    """Connects the ranks of a trainer once their process group stands; does nothing for a single process."""

    def __init__(self) -> None:
        self.member: Member | None = None
        self.has_left = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.member is None and trainer.world_size > 1 and dist.is_initialized():
            self.member = connect(lambda message, is_said: _die(trainer, message, is_said))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """At once: what Lightning does next may wait for the others."""
        self.leave(exception)

    def leave(self, exception: BaseException | None) -> None:
        """Tell the others, once, that this rank ends, and why unless they end together: done, or as agreed."""
        if self.member is None or self.has_left:
            return
        if exception is None or isinstance(exception, StoppedTogether):
            reason = None
        else:
            reason = f"{type(exception).__name__}: {exception}".removesuffix(": ")
            if not isinstance(exception, InstsegError | KeyboardInterrupt | SystemExit):
                time.sleep(CAUSE_SECONDS)
        self.has_left = True
        self.member.leave(reason)


@contextmanager
def watched_ranks(trainer: Trainer) -> Iterator[None]:
    """Around all that the ranks of a trainer do together: a rank that dies in it ends the others."""
    watch = RankWatch()
    trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    try:
        yield
    except BaseException as error:
        watch.leave(error)
        raise
    watch.leave(None)


def connect(die: Die) -> Member:
    """Called by all ranks together, where torch.distributed is initialised."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    where: list[Any] = [None]
    if rank == 0:
        listener = socket.create_server(("", 0), backlog=world_size)
        where[0] = (listener.getsockname()[1], uuid.uuid4().hex)
    dist.broadcast_object_list(where)
    port, token = where[0]
    if rank == 0:
        return Hub(listener, world_size, token, die)
    return Spoke(os.environ["MASTER_ADDR"], port, token, rank, die)


def _how_to_go_on(trainer: Trainer) -> str:
    run_dir = Path(trainer.default_root_dir)
    return f" Go on with: {resume_command(run_dir)}" if saved_states(run_dir) else ""


def note_failure(kind: str, message: str, value: float | None = None) -> None:
    """The first rank's word for whoever waits for this command: the kind of error, and what it said."""
    if NOTE in os.environ and not rank_zero_only.rank:  # type: ignore[attr-defined]
        text = json.dumps({"kind": kind, "message": message, "value": value})
        write_text_atomically(Path(os.environ[NOTE]), text)


def _die(trainer: Trainer, message: str, is_said: bool) -> None:
    """End now: the main thread may be in a collective operation that nothing interrupts."""
    kind = re.search(r"has ended: (\w+): ", message)
    note_failure(kind[1] if kind else RANK_ENDED, message)
    if not is_said and (trainer.global_rank <= 1 or trainer.local_rank == 0):
        log.error("%s. The other ranks end with it.%s", message, _how_to_go_on(trainer))
    for logger in trainer.loggers if trainer.is_global_zero else []:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    os._exit(1)
