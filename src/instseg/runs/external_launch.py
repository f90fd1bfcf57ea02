"""Processes that a launcher outside of this package started, and the run folder that they agree on before torch loads.

``torchrun`` and ``srun`` start all ranks at once, and restart them after a failure or a preemption. Rank 0 decides on
the folder and leaves a note; the other ranks, and a later attempt of the same command, read it. Lightning's own
launcher needs no notes: it starts the other ranks itself and passes them the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from instseg.core.command_line import program, typed_arguments
from instseg.core.errors import InstsegError
from instseg.core.records import Record, format_record, parse_record, write_record

NOTES = ".starts"
"""The folder of all notes, in that of all runs."""
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.1
NUMBERS = (("PROCID", 0), ("NTASKS", 1), ("NNODES", 1))  # SLURM's variables, and their values where it sets none
INTERACTIVE = ("bash", "interactive")  # names of SLURM jobs in which processes that srun starts are not one group
REMEDY = "remove the file, and start the command again"


class FolderNote(Record, frozen=True, kw_only=True):
    """The decision of rank 0 on the run folder."""

    attempt: int
    """The attempt of the command that this note is of, from 0."""
    folder: str
    again: bool
    """Whether an earlier attempt has begun the run in it."""
    is_withdrawn: bool = False
    """Whether rank 0 has ended with an error and removed the folder, which held nothing yet."""


class Board(Protocol):
    """A place where a rank leaves a note that the others find."""

    def read(self, name: str) -> FolderNote | None:
        """Return the note of this name; None where there is none yet."""

    def write(self, name: str, note: FolderNote) -> None:
        """Write a note, replacing an earlier one of that name.

        Args:
            name: of the note.
            note: its content.
        """


class FileBoard:
    """Notes as files, whole or absent, on a disk that all ranks see: they outlive a job that is restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> FolderNote | None:
        """Return the note of this name; None where there is none yet, or the network disk does not show it."""
        path = self.folder / f"{name}.json"
        try:
            content = path.read_bytes()
        except OSError:
            return None
        return parse_record(content, FolderNote, str(path), REMEDY)

    def write(self, name: str, note: FolderNote) -> None:
        """Write a note, replacing an earlier one of that name.

        Args:
            name: of the note.
            note: its content.
        """
        write_record(self.folder / f"{name}.json", note)


class StoreBoard:
    """Notes in the store that torchrun's agent keeps for each attempt: no other command writes there."""

    def __init__(self) -> None:
        from torch._C._distributed_c10d import PrefixStore, TCPStore

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self.store = PrefixStore("instseg", TCPStore(address, port, is_master=False, wait_for_workers=False))

    def read(self, name: str) -> FolderNote | None:
        """Return the note of this name; None where there is none yet."""
        if not self.store.check([name]):
            return None
        return parse_record(bytes(self.store.get(name)), FolderNote, f"torchrun's store, key {name}", "start it again")

    def write(self, name: str, note: FolderNote) -> None:
        """Write a note, replacing an earlier one of that name.

        Args:
            name: of the note.
            note: its content.
        """
        self.store.set(name, format_record(note))


@dataclass(frozen=True, slots=True)
class ExternalLaunch:
    """The launch of one command by torchrun or SLURM, as one of its processes sees it."""

    identity: str
    """The same for all ranks and attempts of the command, and for no other that runs at the same time."""
    rank: int
    world_size: int
    local_size: int
    """Number of processes on this machine."""
    attempt: int
    """Number of times that a scheduler has started the command before."""
    board: Callable[[Path], Board] = FileBoard
    """Makes, from the folder of all notes, the board of this attempt. What outlives the attempt is a file."""

    def agree_on_folder(self, outputs: Path, suffix: str, decide: Callable[[], Path]) -> tuple[Path, bool]:
        """Return the folder that all ranks and attempts write to, and whether an earlier attempt has begun it.

        Args:
            outputs: the folder of all runs.
            suffix: tells apart what one command does one after the other, such as the jobs of a sweep.
            decide: makes the folder; called by rank 0 of the first attempt.

        Raises:
            InstsegError: rank 0 has left no note for ``PATIENCE_SECONDS`` or has withdrawn it, this machine does not
                see the folder, or a note is damaged.
        """
        name, board = self.identity + suffix, self.board(outputs / NOTES)
        note = self._decided(outputs, name, board, decide) if self.rank == 0 else None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while note is None or note.attempt != self.attempt or not Path(note.folder).is_dir():
            if note is not None and note.attempt == self.attempt and note.is_withdrawn:
                raise InstsegError(f"rank {self.rank} of {self.world_size} ends: rank 0 has ended with an error")
            if time.monotonic() > deadline:
                raise InstsegError(self._timeout_message(note, outputs))
            time.sleep(POLL_SECONDS)
            note = board.read(name)
        return Path(note.folder), note.again

    def withdraw(self, outputs: Path, suffix: str, folder: Path) -> None:
        """Tell the other ranks that the folder is gone; called by rank 0, which made it and ends with an error.

        Args:
            outputs: the folder of all runs.
            suffix: as of ``agree_on_folder``.
            folder: that was removed.
        """
        note = FolderNote(attempt=self.attempt, folder=str(folder), again=False, is_withdrawn=True)
        self.board(outputs / NOTES).write(self.identity + suffix, note)

    def _decided(self, outputs: Path, name: str, board: Board, decide: Callable[[], Path]) -> FolderNote:
        """Leave rank 0's note: the folder of an earlier attempt where that still exists, else a new one."""
        files = FileBoard(outputs / NOTES)
        earlier = files.read(name)
        is_again = earlier is not None and earlier.attempt < self.attempt and Path(earlier.folder).is_dir()
        folder = Path(earlier.folder) if earlier is not None and is_again else decide()
        note = FolderNote(attempt=self.attempt, folder=str(folder), again=is_again)
        files.write(name, note)
        board.write(name, note)
        return note

    def earlier_folder(self, outputs: Path) -> Path | None:
        """Return the folder that an earlier attempt of this command wrote to; None in the first attempt.

        Raises:
            InstsegError: the note of the earlier attempt is damaged.
        """
        note = FileBoard(outputs / NOTES).read(self.identity) if self.attempt else None
        return Path(note.folder) if note is not None else None

    def _timeout_message(self, note: FolderNote | None, outputs: Path) -> str:
        me = f"rank {self.rank} of {self.world_size} on {socket.gethostname()}"
        if note is not None and note.attempt == self.attempt:
            return f"{me} does not see the run folder {note.folder}: outputs= must lie on a disk that all nodes share"
        return (
            f"{me} has waited {PATIENCE_SECONDS:.0f} s for rank 0 to name the run folder. Did rank 0 start, and is "
            f"outputs={outputs} on a disk that all nodes share?"
        )


@cache
def external_launch() -> ExternalLaunch | None:
    """Return how torchrun or SLURM started this process; None where it is alone or Lightning has started it.

    First called before the arguments are completed: they are part of what tells two commands apart.
    """
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        run, attempt = environment["TORCHELASTIC_RUN_ID"], int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
        rank, world_size, local_size = (int(environment[n]) for n in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        identity = f"torchrun-{run}-{_command_digest()}"
        return ExternalLaunch(identity, rank, world_size, local_size, attempt, lambda _: StoreBoard())
    if "SLURM_JOB_ID" in environment and "LOCAL_RANK" not in environment:
        return _launch_of_slurm()
    return None


def _launch_of_slurm() -> ExternalLaunch:
    """Describe a step that srun has started, or a command of the batch script itself."""
    environment = os.environ
    has_step, is_interactive = "SLURM_STEP_ID" in environment, environment.get("SLURM_JOB_NAME") in INTERACTIVE
    rank, world_size, nodes = (int(environment.get(f"SLURM_{n}", d)) for n, d in NUMBERS)
    cluster, job = environment.get("SLURM_CLUSTER_NAME", "slurm"), environment["SLURM_JOB_ID"]
    identity = f"{cluster}-{job}-{environment.get('SLURM_STEP_ID', 'batch')}-{_command_digest()}"
    attempt = int(environment.get("SLURM_RESTART_COUNT", 0))
    if world_size > 1 and not has_step and not is_interactive:
        raise InstsegError(
            f"the batch script has {world_size} tasks, and this command runs as one process: "
            f"srun python {' '.join([program(), *typed_arguments()])[:80]} …"
        )
    numbers = (rank, world_size, world_size // nodes) if has_step and not is_interactive else (0, 1, 1)
    return ExternalLaunch(identity, *numbers, attempt)


def _command_digest() -> str:
    return hashlib.sha256(json.dumps([program(), *typed_arguments()]).encode()).hexdigest()[:12]


def ranks_are_started_externally() -> bool:
    """Tell whether torchrun or srun has started the other ranks of this run."""
    launch = external_launch()
    return launch is not None and launch.world_size > 1
