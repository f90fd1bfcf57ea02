"""``resume=`` of a sweep: the command that started it, and what may be added to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instseg.errors import InstsegError
from instseg.sweeps.records import SweepFolder, newest_sweep
from instseg.typed import quoted, typed_values

MULTIRUN = ("-m", "--multirun")
MAY_CHANGE = ("retry_failed", "launcher", "hydra", "num_workers", "sweep.num_trials", "outputs")
"""Keys, and groups of keys, that change nothing about what the jobs try."""


def starts_a_sweep(arguments: Sequence[str]) -> bool:
    """Whether ``-m`` is typed or a ``sweep=`` is chosen; not so in the other ranks of a job, which say so."""
    chosen = [a for a in arguments if a.startswith("sweep=") and a not in ("sweep=", "sweep=null")]
    return (bool(chosen) or any(flag in arguments for flag in MULTIRUN)) and "hydra.mode=RUN" not in arguments


def complete_sweep_arguments(arguments: Sequence[str]) -> list[str]:
    """Where ``resume=`` names a sweep's folder, or is ``auto`` beside ``-m`` or ``sweep=``: that sweep's command.

    The same folder is written to again. Raises InstsegError for typed settings that would change what the jobs try.
    """
    typed = typed_values(arguments)
    resume = typed.get("resume", "null")
    if resume == "auto" and starts_a_sweep(arguments):
        folder = SweepFolder(newest_sweep(Path(typed.get("outputs", "outputs"))))
    elif SweepFolder(Path(resume).expanduser()).info_file.is_file():
        folder = SweepFolder(Path(resume).expanduser())
    else:
        return list(arguments)
    command = folder.read_info().command
    added = [a for a in arguments if a not in command and not a.startswith("resume=") and a not in MULTIRUN]
    for argument in added:
        key = argument.split("=", 1)[0].lstrip("+~")
        if not any(key == may or key.startswith(f"{may}.") for may in MAY_CHANGE):
            raise InstsegError(
                f"{argument}: {folder.path} was started with other settings. A sweep goes on with those it has; "
                f"what may be typed besides: {', '.join(f'{may}=' for may in MAY_CHANGE)}"
            )
    flags = [a for a in command if a in MULTIRUN]
    return [*flags, *(a for a in command if a not in MULTIRUN), *added, quoted("hydra.sweep.dir", folder.path)]
