"""Launcher of the other ranks of this machine, each by its own command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning import Trainer
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher


@dataclass(frozen=True)
class RankCommand:
    """The command that starts the rank of a local number, counted from 0; that one is this process."""

    command: Callable[[int], Sequence[str]]
    cwd: Path | None = None


class RankLauncher(_SubprocessScriptLauncher):
    """Launcher of processes by a given command; Lightning's own repeats ``sys.argv``."""

    def __init__(self, rank: RankCommand, replaced: _SubprocessScriptLauncher) -> None:
        super().__init__(replaced.cluster_environment, replaced.num_processes, replaced.num_nodes)
        self.rank = rank

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        self.procs = []
        environment = self.cluster_environment
        os.environ.update(
            MASTER_ADDR=environment.main_address,
            MASTER_PORT=str(environment.main_port),
            NODE_RANK=str(environment.node_rank()),
            LOCAL_RANK=str(environment.local_rank()),
            WORLD_SIZE=str(self.num_processes * self.num_nodes),
        )
        for local_rank in range(1, self.num_processes):
            variables = {**os.environ, **same_imports(), "LOCAL_RANK": str(local_rank)}
            process = subprocess.Popen(self.rank.command(local_rank), env=variables, cwd=self.rank.cwd)
            self.procs.append(process)


def same_imports() -> dict[str, str]:
    """Return the environment variable that lets a child of this process import what this one can, and no more.

    The child is started by ``python -P``, without the folder that it is started in: a ``random.py`` there is not ours.
    """
    return {"PYTHONPATH": os.pathsep.join(str(Path(place).absolute()) for place in sys.path if Path(place).exists())}


def start_ranks_with(trainer: Trainer, rank: RankCommand) -> None:
    """Make a trainer that starts its other ranks start them by a given command.

    Args:
        trainer: the trainer.
        rank: the command.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        trainer.strategy._launcher = RankLauncher(rank, launcher)
