"""The command line, read once: ``resume=``, ``reproduce=`` and ``checkpoint=`` inherit the overrides of their run.

Imports neither torch nor Lightning. Nothing writes to ``sys.argv``: the completed arguments are handed on.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.option_files import has_key, sets_key
from instseg.core.command_line import typed_config_dir
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path, home_path
from instseg.core.near_paths import where_looked
from instseg.core.overrides import check_stored_overrides, key_of, quoted, typed_values
from instseg.runs.external_launch import external_launch
from instseg.runs.folders import LAST, PREVIOUS, find_checkpoint, folder_of, resume_command
from instseg.runs.manifest import newest_start
from instseg.runs.ownership import refuse_if_owned
from instseg.runs.stored_overrides import (
    OVERRIDES,
    choices_of,
    config_dirs_of,
    is_training,
    last_alive,
    stored_overrides,
    trainings_below,
)
from instseg.sweeps.folds import fold_runs, is_sweep
from instseg.sweeps.resuming import complete_sweep_arguments, starts_a_sweep

NOT_INHERITED = ("resume", "reproduce", "retry_failed", "stage", "checkpoint", "outputs", "run_dir", "sweep")
CHOSEN_WHOLE = ("dataset", "model")
PRUNING = "callbacks.pruning."  # the sweep adds it to its jobs anew
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # of launchers
UNSET = (None, "null", "")


def complete_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of this process with all that they inherit from a run or a sweep.

    Raises:
        InstsegError: a run that is named cannot be found, is owned by another process, or holds no usable overrides.
    """
    own = with_weights_of_a_run(arguments_of_this_rank(arguments))
    completed = complete_sweep_arguments(own)
    return completed if starts_a_sweep(completed) else complete_arguments(completed, typed_config_dir())


def with_weights_of_a_run(arguments: Sequence[str]) -> list[str]:
    """Name the best checkpoint where ``model.weights=`` names a run folder, or ``latest``.

    Raises:
        InstsegError: there is no run, or it has no checkpoint.
    """
    given = typed_values(arguments)
    weights = given.get("model.weights", "")
    if weights != "latest" and not (weights and home_path(weights).is_dir()):
        return list(arguments)
    found = find_checkpoint(weights, Path(given.get("outputs", "outputs")), "model.weights")
    return _with_path(arguments, "model.weights", found.absolute())


def arguments_of_this_rank(arguments: Sequence[str]) -> list[str]:
    """Return the arguments for this rank of an external launcher.

    A later attempt resumes its own run, and only the first rank stores the composed config.
    """
    launch = external_launch()
    if launch is None:
        return list(arguments)
    outputs = typed_values(arguments).get("outputs", "outputs")
    begun = launch.earlier_folder(Path(outputs).absolute())
    own = [f"resume={begun}" if begun and a.startswith("resume=") else a for a in arguments]
    return [*own, "hydra.output_subdir=null", f"hydra.job.name=train_rank_{launch.rank}"] if launch.rank else own


def complete_arguments(arguments: Sequence[str], config_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the arguments, and before them the overrides of the run they refer to, where they set nothing else.

    ``resume=auto`` becomes the folder of the newest run (of the given dataset, model or experiment); ``resume=``,
    ``reproduce=`` and ``checkpoint=`` bring the overrides in that run's ``.hydra/overrides.yaml``, and ``reproduce=``
    the seed of its manifest.

    Args:
        arguments: of the command or call.
        config_dir: folder of the user's own configs; None: none is given.

    Raises:
        InstsegError: there is no such run, or its stored overrides cannot be used.
    """
    given = typed_values(arguments)
    outputs = Path(given.get("outputs", "outputs"))
    if given.get("resume") not in UNSET:
        run = _resumed_run(given, outputs)
        if all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES):  # the others belong to the owner
            refuse_if_owned(run)
        arguments = _with_path(arguments, "resume", run)
    elif given.get("reproduce") not in UNSET:
        run = _reproduced_run(given["reproduce"], outputs)
        seed = given.get("seed", str(newest_start(run).seed))
        _check_reproducible(run)
        arguments = _before_overrides([f"seed={seed}"], _with_path(arguments, "reproduce", run))
        given = {"seed": seed} | given
    elif given.get("checkpoint") not in UNSET:
        run = _run_of_checkpoint(given["checkpoint"], outputs)
        arguments = _with_path(arguments, "checkpoint", given["checkpoint"])
    else:
        return list(arguments)
    return _before_overrides(_inherited(run, given, has_own=config_dir is not None), arguments)


def _run_of_checkpoint(given: str, outputs: Path) -> Path:
    """Find the run that ``checkpoint=`` names: that of a checkpoint, or of the first fold of a cross-validation."""
    if is_sweep(home_path(given)):
        return fold_runs(home_path(given)).runs[0].run
    return folder_of(find_checkpoint(given, outputs))


def _before_overrides(added: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Insert overrides before those that are given: Hydra reads none on either side of ``--config-dir=FOLDER``."""
    first = next(i for i, argument in enumerate(arguments) if "=" in argument and not argument.startswith("-"))
    return [*arguments[:first], *added, *arguments[first:]]


def _inherited(run: Path, given: Mapping[str, str], *, has_own: bool) -> list[str]:
    """Select the stored overrides of a run that the given keys do not replace; none of them may name code."""
    stored = stored_overrides(run)
    kept = [override for override in stored if not _is_replaced(override, given)]
    _tell_what_is_left_out(stored, kept, given)
    if not has_own:
        _check_no_own_options(run, kept)
    return check_stored_overrides(kept, str(run / OVERRIDES))


def _check_no_own_options(run: Path, overrides: Iterable[str]) -> None:
    """Raise InstsegError where a run is made of options in a folder that is not given: a file may not name it."""
    folders = config_dirs_of(run)
    if folders and (own := next(filter(is_own_option, overrides), None)):
        raise InstsegError(
            f"{run} has {own} from a folder of your own: type --config-dir {shlex.quote(folders[0])} as well, as it "
            f"was started; in Python, config_dir={folders[0]!r}"
        )


def is_own_option(override: str) -> bool:
    """Tell whether an override chooses an option of one of our groups that is not ours."""
    group, _, option = override.lstrip("+").partition("=")
    is_named = (CONFIG_DIR / group).is_dir() and option.isidentifier() and option != "null"
    return is_named and not (CONFIG_DIR / group / f"{option}.yaml").is_file()


def _tell_what_is_left_out(stored: Sequence[str], kept: Sequence[str], given: Mapping[str, str]) -> None:
    """Print which settings of a run do not go with the options that are chosen anew."""
    groups = {name.lstrip("+~"): value for name, value in given.items() if "." not in name}
    for group, option in groups.items():
        lost = [o for o in stored if o.startswith(f"{group}.") and o not in kept and key_of(o) not in given]
        if lost and os.environ.get("RANK", "0") == "0":
            print(f"note: {group}={option} is chosen anew, without {', '.join(lost)} of the run", file=sys.stderr)


def _is_replaced(override: str, given: Mapping[str, str]) -> bool:
    """Tell whether the key is given again, belongs to its own run alone, or does not go with a group chosen anew."""
    key = key_of(override)
    group = key.partition(".")[0]
    if key.startswith(PRUNING):
        return True
    names = {name.lstrip("+~"): value for name, value in given.items()}
    if group in NOT_INHERITED or key in names:
        return True
    return group in names and not _goes_with(key, names[group])


def _goes_with(key: str, option: str) -> bool:
    """Tell whether a setting of a run stays where another option of its group is chosen.

    It stays where the option has the key from the one that it starts from, as all trainers have max_epochs, and does
    not where the option sets the key itself. Other data and another network are taken as they are.
    """
    group, _, rest = key.partition(".")
    file, name = CONFIG_DIR / group / f"{option}.yaml", rest.partition(".")[0]
    return group not in CHOSEN_WHOLE and file.is_file() and has_key(file, name) and not sets_key(file, name)


def _with_path(arguments: Iterable[str], key: str, value: Path | str) -> list[str]:
    """Set one path, quoted: unquoted, it may hold characters that mean something in Hydra's grammar."""
    return [quoted(key, value) if argument.startswith(f"{key}=") else argument for argument in arguments]


def _reproduced_run(given: str, outputs: Path) -> Path:
    """Find the run folder that ``reproduce=`` names."""
    if given == "latest":
        return folder_of(find_checkpoint(given, outputs))
    run = absolute_path(given)
    if not run.is_dir():
        raise InstsegError(f"reproduce={given}: no such run folder{where_looked(Path(given))}")
    return run


def _check_reproducible(run: Path) -> None:
    """Raise InstsegError, before any work, where there will be nothing to compare a repeated training with."""
    if not is_training(run):
        raise InstsegError(f"reproduce={run} has measured a checkpoint; only a training can be repeated")
    if not (run / "config.yaml").is_file() or not (run / "metrics.json").is_file():
        raise InstsegError(
            f"reproduce={run}: it has no metrics.json, so it has not ended and there is nothing to compare with. To "
            f"let it end: {resume_command(run)}"
        )


def _resumed_run(given: Mapping[str, str], outputs: Path) -> Path:
    """Find the run folder that ``resume=`` names."""
    resume = given["resume"]
    if resume == "auto":
        return _newest_run(given, outputs)
    path = home_path(resume)
    if path.name == PREVIOUS:
        raise InstsegError(
            f"resume={resume}: a training resumes from {PREVIOUS} by itself where {LAST} is damaged or missing: "
            f"{resume_command(folder_of(path))}"
        )
    if path.suffix == ".ckpt" and path.name != LAST:
        raise InstsegError(
            f"resume={resume}: a training resumes from {LAST}, which holds its whole state. "
            f"To start a new training from these weights: model.weights={resume}"
        )
    if not path.exists():
        raise InstsegError(
            f"resume={resume}: no such run folder{where_looked(Path(resume))}; resume=auto takes the newest run"
        )
    if not last_alive(folder_of(path)):
        raise InstsegError(
            f"resume={resume}: {folder_of(path)} has neither checkpoints/{LAST} nor {PREVIOUS} to resume from, nor "
            ".hydra/overrides.yaml to start over with"
        )
    return folder_of(path)


def _newest_run(given: Mapping[str, str], outputs: Path) -> Path:
    runs = [run for run in trainings_below(outputs) if _is_meant(run, given)]
    if not runs:
        asked = "".join(f" {key}={given[key]}" for key in ("experiment", "dataset", "model") if key in given)
        raise InstsegError(f"resume=auto: no run{asked} to resume below {outputs.absolute()}")
    return max(runs, key=last_alive)


def _is_meant(run: Path, given: Mapping[str, str]) -> bool:
    """Tell whether a run has the experiment, or else the dataset and model, that are given."""
    if "experiment" in given:
        return f"experiment={given['experiment']}" in stored_overrides(run)
    asked = {group: given[group] for group in ("dataset", "model") if group in given}
    begin = f"{asked['dataset']}_" if "dataset" in asked else ""
    end = f"_{asked['model']}" if "model" in asked else ""
    is_alike = run.parent.name.startswith(begin) and run.parent.name.endswith(end)
    return is_alike and (not asked or choices_of(run, asked) in (asked, None))
