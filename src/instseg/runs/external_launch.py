"""What the processes that one command has started agree on before any of them has loaded torch: the run folder.

``torchrun`` and ``srun`` start all ranks at once, and start them anew after a failure or a preemption. The first rank
decides on the folder and notes it; the others, and a later attempt of the same start, read the note. Lightning's own
launcher needs nothing of this: it starts the other ranks itself and names them the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError

PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.1
NUMBERS = (("PROCID", 0), ("NTASKS", 1), ("NNODES", 1))  # of SLURM's variables, and what they are without it
INTERACTIVE = ("bash", "interactive")  # names of SLURM jobs in which processes that srun starts are not one group


class Board(Protocol):
    """Where a rank leaves a note that the others find."""

    def read(self, name: str) -> str | None: ...
    def write(self, name: str, text: str) -> None: ...


class FileBoard:
    """Notes as files on a disk that all ranks see, and that outlive a job that is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> str | None:
        try:
            return (self.folder / f"{name}.json").read_text(encoding="utf-8")
        except OSError:
            return None

    def write(self, name: str, text: str) -> None:
        write_text_atomically(self.folder / f"{name}.json", text)


class StoreBoard:
    """Notes in the store that torchrun's agent makes for each attempt: nothing of another command lies there."""

    def __init__(self) -> None:
        from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self.store = PrefixStore("instseg", TCPStore(address, port, is_master=False, wait_for_workers=False))

    def read(self, name: str) -> str | None:
        return bytes(self.store.get(name)).decode() if self.store.check([name]) else None

    def write(self, name: str, text: str) -> None:
        self.store.set(name, text)


@dataclass(frozen=True, slots=True)
class Start:
    """One command, as one of its processes sees it."""

    identity: str
    """The same for all ranks and attempts of the command, and for no other that runs at the same time."""
    rank: int
    world_size: int
    local_size: int
    """Processes on this machine."""
    attempt: int
    """How often a scheduler has started it before."""
    board: Callable[[Path], Board] = FileBoard
    """From the folder of all notes: where the ranks of an attempt meet. What outlives the attempt is a file."""

    def agree(self, outputs: Path, suffix: str, decide: Callable[[], Path]) -> tuple[Path, bool]:
        """The folder that all ranks and attempts write to, and whether an earlier attempt has begun it.

        Raises InstsegError after ``PATIENCE_SECONDS`` without the first rank's word, or where this machine does not
        see the folder.
        """
        notes, name = outputs / ".starts", self.identity + suffix
        board, note = self.board(notes), None
        if self.rank == 0:
            note = _parse(FileBoard(notes).read(name))
            begun = Path(note["folder"]) if note is not None and note["attempt"] < self.attempt else None
            is_again = begun is not None and begun.is_dir()
            folder = begun if begun is not None and is_again else decide()
            note = {"attempt": self.attempt, "folder": str(folder), "again": is_again}
            FileBoard(notes).write(name, json.dumps(note))
            board.write(name, json.dumps(note))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while note is None or note["attempt"] != self.attempt or not Path(note["folder"]).is_dir():
            if time.monotonic() > deadline:
                raise InstsegError(self._in_vain(note, outputs))
            time.sleep(POLL_SECONDS)
            note = _parse(board.read(name))
        return Path(note["folder"]), note["again"]

    def earlier_folder(self, outputs: Path) -> Path | None:
        """The folder that an earlier attempt of this command wrote to."""
        note = _parse(FileBoard(outputs / ".starts").read(self.identity)) if self.attempt else None
        return Path(note["folder"]) if note is not None else None

    def _in_vain(self, note: dict[str, Any] | None, outputs: Path) -> str:
        me = f"rank {self.rank} of {self.world_size} on {socket.gethostname()}"
        if note is not None and note["attempt"] == self.attempt:
            return (
                f"{me} does not see the run folder {note['folder']}: outputs= must lie on a disk that all nodes share"
            )
        return (
            f"{me} has waited {PATIENCE_SECONDS:.0f} s for rank 0 to say which folder this run writes to. Did rank 0 "
            f"start, and is outputs={outputs} on a disk that all nodes share?"
        )


def _parse(text: str | None) -> dict[str, Any] | None:
    return json.loads(text) if text else None


@cache
def this_start() -> Start | None:
    """How this process was started by torchrun or SLURM; None where it stands alone or Lightning has started it.

    Asked for the first time before ``sys.argv`` is completed: it is part of what tells two commands apart.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        run, again = os.environ["TORCHELASTIC_RUN_ID"], int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
        rank, world_size, local = (int(os.environ[n]) for n in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        return Start(f"torchrun-{run}-{_command()}", rank, world_size, local, again, lambda _: StoreBoard())
    if "SLURM_JOB_ID" in os.environ and "LOCAL_RANK" not in os.environ:
        return _of_slurm()
    return None


def _of_slurm() -> Start:
    """A step that srun has started, or a command of the batch script itself."""
    environment = os.environ
    has_step, is_interactive = "SLURM_STEP_ID" in environment, environment.get("SLURM_JOB_NAME") in INTERACTIVE
    rank, world_size, nodes = (int(environment.get(f"SLURM_{n}", d)) for n, d in NUMBERS)
    cluster, job = environment.get("SLURM_CLUSTER_NAME", "slurm"), environment["SLURM_JOB_ID"]
    identity = f"{cluster}-{job}-{environment.get('SLURM_STEP_ID', 'batch')}-{_command()}"
    attempt = int(environment.get("SLURM_RESTART_COUNT", 0))
    if world_size > 1 and not has_step and not is_interactive:
        raise InstsegError(
            f"the batch script has {world_size} tasks, and this command runs as one process: "
            f"srun python {' '.join(sys.argv)[:80]} …"
        )
    numbers = (rank, world_size, world_size // nodes) if has_step and not is_interactive else (0, 1, 1)
    return Start(identity, *numbers, attempt)


def _command() -> str:
    return hashlib.sha256(json.dumps(sys.argv).encode()).hexdigest()[:12]


def starts_no_processes() -> bool:
    """Whether torchrun or srun has started the other ranks of this run."""
    start = this_start()
    return start is not None and start.world_size > 1
