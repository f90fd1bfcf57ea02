"""Common failure of ranks: one that dies ends the others within a second, with a message that names it.

Left alone, the others wait in their next collective operation for its timeout, half an hour. Every rank holds a
connection to the first one, which the system closes whenever and however the rank ends: nothing has to be sent in
time, and a rank that is merely busy is never considered dead.
"""

from __future__ import annotations

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
from typing import Protocol

import torch.distributed as dist
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from instseg.core.errors import InstsegError
from instseg.distributed.failure_note import RANK_ENDED, note_failure
from instseg.distributed.interruption import StoppedTogether
from instseg.runs.folders import resume_command, saved_states

log = logging.getLogger(__name__)

DONE, FAILED, ENDED = "done", "failed", "ended"
CONNECT_SECONDS = 60.0
WITHOUT_REASON = "killed, or by an error of its own"
CAUSE_SECONDS = 2.0
"""Seconds that an error is held back: it may follow from the death of another rank, whose message is on its way."""
MESSAGE_BYTES = 65536

EndProcess = Callable[[str, bool], None]
"""Called with the message, and whether another rank has reported it already; does not return."""


class Member(Protocol):
    """The side of one rank of the connections between the ranks."""

    def leave(self, reason: str | None) -> None:
        """Announce the end of this rank: in order (None), or for a reason."""


class FirstRank:
    """The side of the first rank, which is connected to all others and announces to them that one has died.

    Args:
        listener: the socket that the others connect to.
        world_size: number of ranks.
        token: the word by which a rank is recognised.
        end_process: ends this process.
    """

    def __init__(self, listener: socket.socket, world_size: int, token: str, end_process: EndProcess) -> None:
        self.end_process, self.is_done = end_process, False
        self.names: dict[socket.socket, str] = {}
        self.done: set[socket.socket] = set()
        listener.settimeout(CONNECT_SECONDS)
        while len(self.names) < world_size - 1:
            connection = listener.accept()[0]
            connection.settimeout(CONNECT_SECONDS)
            given, _, name = _receive(connection).partition(" ")
            if given == token:  # else it is a stranger that tries all ports
                connection.settimeout(None)
                self.names[connection] = name
        listener.close()
        threading.Thread(target=self._listen, daemon=True, name="rank-watch").start()

    def _listen(self) -> None:
        selector = selectors.DefaultSelector()
        for connection in self.names:
            selector.register(connection, selectors.EVENT_READ, connection)
        while selector.get_map():
            for key, _ in selector.select():
                peer: socket.socket = key.data
                word, _, reason = _receive(peer).partition(" ")
                if word == DONE:
                    self.done.add(peer)
                    selector.unregister(peer)
                elif self.is_done:
                    return
                else:
                    self._announce(f"{self.names[peer]} has ended: {reason or WITHOUT_REASON}")

    def _announce(self, message: str) -> None:
        for connection in self.names.keys() - self.done:
            _send(connection, f"{ENDED} {message}")
        self.end_process(message, False)

    def leave(self, reason: str | None) -> None:
        """Announce the end of this rank to all others: in order (None), or for a reason."""
        self.is_done = True
        for connection in self.names:
            _send(connection, DONE if reason is None else f"{ENDED} {describe_rank(0)} has ended: {reason}")


class OtherRank:
    """The side of every other rank: its connection to the first one.

    Args:
        address: of the first rank.
        port: of the first rank.
        token: the word by which the first rank recognises this one.
        rank: the number of this one.
        end_process: ends this process.
    """

    def __init__(self, address: str, port: int, token: str, rank: int, end_process: EndProcess) -> None:
        self.end_process, self.is_done = end_process, False
        self.connection = socket.create_connection((address, port), CONNECT_SECONDS)
        self.connection.settimeout(None)
        _send(self.connection, f"{token} {describe_rank(rank)}")
        threading.Thread(target=self._listen, daemon=True, name="rank-watch").start()

    def _listen(self) -> None:
        word, _, message = _receive(self.connection).partition(" ")
        if not (word == DONE or self.is_done):
            self.end_process(message or f"rank 0 has ended: {WITHOUT_REASON}", bool(message))

    def leave(self, reason: str | None) -> None:
        """Announce the end of this rank to the first one: in order (None), or for a reason."""
        self.is_done = True
        _send(self.connection, DONE if reason is None else f"{FAILED} {reason}")


def describe_rank(rank: int) -> str:
    """Name a rank of this machine with its host and process."""
    return f"rank {rank} ({socket.gethostname()}, process {os.getpid()})"


def _send(connection: socket.socket, text: str) -> None:
    """Send one line; give up quietly where the other side is gone: its own connection shows that to the first rank."""
    try:
        connection.sendall(text.replace("\n", " ").encode()[: MESSAGE_BYTES - 1] + b"\n")
    except OSError:
        log.debug("rank watch: %s is gone", connection)


def _receive(connection: socket.socket) -> str:
    """Receive one line; empty where the other side is gone."""
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
    """The callback that connects the ranks once their process group exists; idle for a single process."""

    def __init__(self) -> None:
        self.member: Member | None = None
        self.has_left = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Connect the ranks."""
        if self.member is None and trainer.world_size > 1 and dist.is_initialized():
            self.member = connect(lambda message, is_reported: _end_process(trainer, message, is_reported))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the process at once: the next steps of Lightning may wait for other ranks."""
        self.leave(exception)

    def leave(self, exception: BaseException | None) -> None:
        """Announce the end of this rank once, with the reason unless all ranks end together."""
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
def watched_ranks(watch: RankWatch) -> Iterator[None]:
    """Run the ranks of a trainer with this callback in a context in which the death of one ends the others."""
    try:
        yield
    except BaseException as error:
        watch.leave(error)
        raise
    watch.leave(None)


def connect(end_process: EndProcess) -> Member:
    """Connect the ranks, all of which call this, where torch.distributed is initialised."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    meeting = [(0, "")]  # port and token, which rank 0 decides
    if rank == 0:
        listener = socket.create_server(("", 0), backlog=world_size)
        meeting = [(listener.getsockname()[1], uuid.uuid4().hex)]
    dist.broadcast_object_list(meeting)
    port, token = meeting[0]
    if rank == 0:
        return FirstRank(listener, world_size, token, end_process)
    return OtherRank(os.environ["MASTER_ADDR"], port, token, rank, end_process)


def _how_to_resume(trainer: Trainer) -> str:
    run_dir = Path(trainer.default_root_dir)
    return f" Resume with: {resume_command(run_dir)}" if saved_states(run_dir) else ""


def _end_process(trainer: Trainer, message: str, is_reported: bool) -> None:
    """End the process at once: the main thread may be in a collective operation that nothing interrupts."""
    kind = re.search(r"has ended: (\w+): ", message)
    note_failure(kind[1] if kind else RANK_ENDED, message)
    if not is_reported and (trainer.global_rank <= 1 or trainer.local_rank == 0):
        log.error("%s. The other ranks end with it.%s", message, _how_to_resume(trainer))
    for logger in trainer.loggers if trainer.is_global_zero else []:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    os._exit(1)
