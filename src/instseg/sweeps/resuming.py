"""``resume=`` of a sweep: the command that started it, and what may be added to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.overrides import key_of, quoted, typed_values
from instseg.runs.differences import CHANGES_NOTHING
from instseg.runs.external_launch import external_launch
from instseg.sweeps.records import SweepFolder, newest_sweep

MULTIRUN = ("-m", "--multirun")
OF_ONE_RUN = ("run_dir", "resume", "reproduce", "stage", "checkpoint")
"""They decide what a command does, and with which run."""
MAY_CHANGE = (
    "retry_failed", "launcher", "hydra", "sweep.num_trials", *(key for key in CHANGES_NOTHING if key not in OF_ONE_RUN),
)  # fmt: skip
"""Keys, and groups of keys, that change nothing about what the jobs try."""


def starts_a_sweep(arguments: Sequence[str]) -> bool:
    """Whether ``-m`` is typed or a ``sweep=`` is chosen; not so in the other ranks of a job, which say so."""
    chosen = _chosen(arguments) is not None
    return (chosen or any(flag in arguments for flag in MULTIRUN)) and "hydra.mode=RUN" not in arguments


def complete_sweep_arguments(arguments: Sequence[str]) -> list[str]:
    """Where ``resume=`` names a sweep's folder, or is ``auto`` beside ``-m`` or ``sweep=``: that sweep's command.

    The same folder is written to again. Raises InstsegError for typed settings that would change what the jobs try,
    and for a ``resume=`` beside ``-m`` or ``sweep=`` that names no sweep.
    """
    folder = _resumed_sweep(arguments)
    if folder is None:
        return [*arguments, *_folder_of_this_launch(arguments)]
    command = folder.read_info().command
    added = [a for a in arguments if a not in command and not a.startswith("resume=") and a not in MULTIRUN]
    for argument in added:
        if not any(key_of(argument) == may or key_of(argument).startswith(f"{may}.") for may in MAY_CHANGE):
            raise InstsegError(
                f"{argument}: {folder.path} was started with other settings. A sweep goes on with those it has; "
                f"what may be typed besides: {', '.join(f'{may}=' for may in MAY_CHANGE)}"
            )
    changed = {"hydra.sweep.dir", *map(key_of, added)}
    kept = [a for a in command if key_of(a) not in changed]
    flags = [a for a in kept if a in MULTIRUN]
    return [*flags, *(a for a in kept if a not in MULTIRUN), *added, quoted("hydra.sweep.dir", folder.path)]


def _resumed_sweep(arguments: Sequence[str]) -> SweepFolder | None:
    """None where a new sweep is started, or none at all."""
    typed = typed_values(arguments)
    resume = typed.get("resume", "null")
    if resume == "auto" and starts_a_sweep(arguments):
        return SweepFolder(newest_sweep(Path(typed.get("outputs", "outputs")), _chosen(arguments)))
    folder = SweepFolder(Path(resume).expanduser())
    if folder.info_file.is_file():
        return folder
    if resume not in ("null", "") and starts_a_sweep(arguments):
        raise InstsegError(
            f"resume={resume}: {folder.path} is no sweep's folder (it has no {folder.info_file.name}). A sweep goes on "
            "with resume=<its folder>, or resume=auto for the newest; a run is resumed without -m and sweep="
        )
    return None


def _folder_of_this_launch(arguments: Sequence[str]) -> list[str]:
    """Name the sweep folder of the first attempt, where a scheduler may restart the command."""
    launch, typed = external_launch(), typed_values(arguments)
    if launch is None or launch.world_size > 1 or not starts_a_sweep(arguments) or "hydra.sweep.dir" in typed:
        return []
    outputs = Path(typed.get("outputs", "outputs")).absolute()
    return [quoted("hydra.sweep.dir", launch.agree_on_folder(outputs, "-sweep", partial(_new_folder, outputs))[0])]


def _new_folder(outputs: Path) -> Path:
    folder = outputs / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"  # as conf/train.yaml names it
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _chosen(arguments: Sequence[str]) -> str | None:
    """``sweep=optuna``, say, as it was typed."""
    return next((a for a in arguments if a.startswith("sweep=") and a not in ("sweep=", "sweep=null")), None)
