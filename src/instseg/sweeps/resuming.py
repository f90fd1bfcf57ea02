"""``resume=`` of a sweep: the command that started it, and the overrides that may be added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.files import check_no_links, home_path
from instseg.core.overrides import MULTIRUN, check_stored_overrides, key_of, quoted, typed_values
from instseg.runs.differences import CHANGES_NOTHING
from instseg.runs.external_launch import external_launch
from instseg.sweeps.sweep_folder import SweepFolder, newest_sweep

OF_ONE_RUN = ("run_dir", "resume", "reproduce", "stage", "checkpoint")
"""Keys that decide what a command does, and with which run."""
OWN_LINKS = ("tensorboard",)
"""What the leaderboard replaces as a whole; it holds links to the curves of the jobs."""
MAY_CHANGE = (
    "retry_failed", "launcher", "hydra", "sweep.num_trials", *(key for key in CHANGES_NOTHING if key not in OF_ONE_RUN),
)  # fmt: skip
"""Keys, and groups of keys, that change nothing about what the jobs try."""


def starts_a_sweep(arguments: Sequence[str]) -> bool:
    """Tell whether ``-m`` or a ``sweep=`` is among the arguments of a command, other than those of a job's ranks."""
    chosen = _chosen(arguments) is not None
    return (chosen or any(flag in arguments for flag in MULTIRUN)) and "hydra.mode=RUN" not in arguments


def complete_sweep_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the command of the sweep that they resume.

    ``resume=`` names its folder; ``resume=auto`` beside ``-m`` or ``sweep=`` is the newest. What the stored command
    holds may choose options and give plain values; an override of it that does more has to be given again.

    Raises:
        InstsegError: an override would change what the jobs try, ``resume=`` beside ``-m`` or ``sweep=`` names no
            sweep, or the stored command does more than it may.
    """
    folder = _resumed_sweep(arguments)
    if folder is None:
        return [*arguments, *_folder_of_this_launch(arguments)]
    check_no_links(folder.path, OWN_LINKS)
    command = folder.read_info().command
    flags, overrides = _flags_and_overrides(arguments)
    added = [a for a in overrides if a not in command and not a.startswith("resume=")]
    for argument in added:
        _check_may_change(argument, folder)
    replaced = {"hydra.sweep.dir", *map(key_of, added)}
    stored = [a for a in command if key_of(a) not in replaced and a not in flags]
    check_stored_overrides([a for a in stored if a not in overrides], str(folder.info_file), is_sweep=True)
    multirun = [a for a in stored if a in MULTIRUN]
    stored = [a for a in stored if a not in MULTIRUN]
    return [*multirun, *flags, *stored, *added, quoted("hydra.sweep.dir", folder.path)]


def _flags_and_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags, such as ``--config-dir DIR``, each with its value, from overrides; without ``-m``."""
    flags: list[str] = []
    overrides: list[str] = []
    expects_value = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        if argument not in MULTIRUN:
            (flags if is_flag or expects_value else overrides).append(argument)
        expects_value = is_flag and "=" not in argument and argument not in MULTIRUN
    return flags, overrides


def _check_may_change(argument: str, folder: SweepFolder) -> None:
    key = key_of(argument)
    if not any(key == may or key.startswith(f"{may}.") for may in MAY_CHANGE):
        raise InstsegError(
            f"{argument}: {folder.path} was started with other settings. A sweep is resumed with those it has; these "
            f"may be given as well: {', '.join(f'{may}=' for may in MAY_CHANGE)}"
        )


def _resumed_sweep(arguments: Sequence[str]) -> SweepFolder | None:
    """Return the sweep that is resumed; None where a new one is started, or none at all."""
    typed = typed_values(arguments)
    resume = typed.get("resume", "null")
    if resume == "auto" and starts_a_sweep(arguments):
        return SweepFolder(newest_sweep(Path(typed.get("outputs", "outputs")), _chosen(arguments)))
    folder = SweepFolder(home_path(resume))
    if folder.info_file.is_file():
        return folder
    if resume not in ("null", "") and starts_a_sweep(arguments):
        raise InstsegError(
            f"resume={resume}: {folder.path} is no sweep's folder (it has no {folder.info_file.name}). A sweep is "
            "resumed with resume=<its folder>, or resume=auto for the newest; a run is resumed without -m and sweep="
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
    """Return the override that chooses a kind of sweep, such as ``sweep=optuna``."""
    return next((a for a in arguments if a.startswith("sweep=") and a not in ("sweep=", "sweep=null")), None)
