"""Which folder a run writes to, and which run a command goes on from. Knows neither Hydra nor torch."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from instseg.core.errors import InstsegError
from instseg.core.overrides import key_of, quoted, typed_values
from instseg.runs.external_launch import this_start
from instseg.runs.ownership import OWNER_FILE, refuse_if_owned

BEST, LAST = "best.ckpt", "last.ckpt"
PREVIOUS = "previous.ckpt"  # the one before the last, kept in case that is damaged
NOT_INHERITED = ("resume", "reproduce", "retry_failed", "stage", "checkpoint", "outputs", "run_dir", "hydra", "sweep")
OF_A_SWEEP = "callbacks.pruning."  # what a sweep adds to its jobs
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # what launchers call the number of a process
_created: list[Path] = []
_begun_earlier: set[Path] = set()


@cache
def run_folder(outputs: str, name: str, resume: str | None, suffix: str) -> str:
    """A new folder ``outputs/<name>/<date_time>``, or the one of the run that is resumed.

    Ranks that were started together share it, and a job that its scheduler starts again goes on in it. Cached,
    because Hydra resolves it several times.
    """

    def decide() -> Path:
        return folder_of(Path(resume)) if resume else _new_folder(Path(outputs), name, suffix)

    start = this_start()
    if start is None:
        return str(decide())
    folder, is_again = start.agree(Path(outputs).absolute(), suffix, decide)
    if is_again:
        _begun_earlier.add(folder)
    return str(folder)


def is_begun_earlier(run_dir: Path) -> bool:
    """Whether the folder is an earlier attempt's: the scheduler has started this job again."""
    return run_dir in _begun_earlier


def _new_folder(outputs: Path, name: str, suffix: str) -> Path:
    """Created here, exclusively: two runs that are started in the same second get two folders."""
    base = outputs.absolute() / name / f"{datetime.now():%Y-%m-%d_%H-%M-%S}{suffix}"
    for attempt in range(1000):
        folder = base if attempt == 0 else base.with_name(f"{base.name}-{attempt + 1}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        _created.append(folder)
        return folder
    raise InstsegError(f"{base}: a thousand runs started in this second")


def remove_unused_folders() -> None:
    """Take back the folders of this process in which nothing but the log of the failure lies."""
    for folder in _created:
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {".hydra", "train.log", OWNER_FILE}:
            shutil.rmtree(folder)


def folder_of(path: Path) -> Path:
    """The run folder around a checkpoint, or the folder itself."""
    path = path.absolute()
    return path.parents[1] if path.suffix == ".ckpt" else path


def newest(folders: Iterable[Path], *names: str) -> Path | None:
    """The checkpoint that was written last among ``<folder>/checkpoints/<name>``, the first name of each folder."""
    found = [next((f / "checkpoints" / n for n in names if (f / "checkpoints" / n).is_file()), None) for f in folders]
    return max((path for path in found if path), key=lambda path: path.stat().st_mtime, default=None)


def runs_below(outputs: Path) -> list[Path]:
    return [path.parent for path in outputs.glob("*/*/checkpoints")]


def find_checkpoint(where: str, outputs: Path) -> Path:
    """A .ckpt file itself, the best (else the last) of a run folder, or that of the newest run (``latest``)."""
    if where == "latest":
        found = newest(runs_below(outputs), BEST, LAST)
        if found is None:
            raise InstsegError(f"checkpoint=latest: no run with a checkpoint below {outputs.absolute()}")
        return found
    path = Path(where).expanduser()
    if path.is_dir():
        inside = newest([path], BEST, LAST)
        if inside is None:
            raise InstsegError(f"{path}: this folder has no checkpoints/{BEST} or {LAST}; is it a run folder?")
        return inside
    if not path.is_file():
        raise InstsegError(f"checkpoint={where}: no such file or run folder")
    return path


def complete_arguments(arguments: Sequence[str]) -> list[str]:
    """What was typed, and before it what the run that it goes on from was started with, where nothing else is typed.

    ``resume=auto`` becomes the folder of the newest run (of the dataset, model or experiment, where one is typed);
    ``resume=``, ``reproduce=`` and ``checkpoint=`` bring the overrides that are kept in that run's
    ``.hydra/overrides.yaml``, and ``reproduce=`` the seed of its manifest.
    """
    typed = typed_values(arguments)
    outputs = Path(typed.get("outputs", "outputs"))
    if typed.get("resume") not in (None, "null", ""):
        run = _resumed_run(typed, outputs)
        if all(os.environ.get(name, "0") == "0" for name in RANKS):  # the others belong to the owner
            refuse_if_owned(run)
        arguments = _with(arguments, "resume", run)
    elif typed.get("reproduce") not in (None, "null", ""):
        run = Path(typed["reproduce"]).expanduser().absolute()
        arguments = _with(arguments, "reproduce", run)
        typed = {"seed": str(_last_start(run)["seed"])} | typed
        _check_has_ended(run)
        arguments = [f"seed={typed['seed']}", *arguments]
    elif typed.get("checkpoint") not in (None, "null", ""):
        run = folder_of(find_checkpoint(typed["checkpoint"], outputs))
        arguments = _with(arguments, "checkpoint", typed["checkpoint"])
    else:
        return list(arguments)
    return [*(a for a in _overrides_of(run) if not _typed_anew(a, typed)), *arguments]


def _with(arguments: Iterable[str], key: str, value: Path | str) -> list[str]:
    """The same with another value, in quotes: typed without them, a path may have characters that Hydra stumbles on."""
    return [quoted(key, value) if a.startswith(f"{key}=") else a for a in arguments]


def _last_start(run: Path) -> dict[str, Any]:
    """What the manifest says of the newest start. InstsegError where there is none."""
    try:
        start: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["starts"][-1]
    except (OSError, ValueError, KeyError) as error:
        raise InstsegError(f"{run}: expected a run's folder with its manifest.json") from error
    return start


def _overrides_of(run: Path) -> list[str]:
    """What a run was started with, as Hydra keeps it; nothing where the folder is no run's."""
    kept = run / ".hydra" / "overrides.yaml"
    if not kept.is_file():
        return []
    text = kept.read_text(encoding="utf-8")
    if not text.strip() and (run / "manifest.json").is_file():  # killed while Hydra was writing it
        return list(_last_start(run)["command"][1:])
    return yaml.safe_load(text) or []


def _check_has_ended(run: Path) -> None:
    """InstsegError, before any work, where there will be nothing to compare a repeated training with."""
    if not _is_training(run):
        raise InstsegError(f"reproduce={run} has measured a checkpoint; what can be repeated is a training")
    if not (run / "config.yaml").is_file() or not (run / "metrics.json").is_file():
        raise InstsegError(
            f"reproduce={run}: it has no metrics.json, so it has not ended and there is nothing to compare with. To "
            f"let it end: {command_to_go_on(run)}"
        )


def _typed_anew(argument: str, typed: Iterable[str]) -> bool:
    """Whether the key itself, or the group around it, is among the typed ones; or belongs to its own run alone."""
    key = key_of(argument)
    group = key.partition(".")[0]
    if key.startswith(OF_A_SWEEP):
        return True
    return group in NOT_INHERITED or any(t.lstrip("+~") in (key, group) for t in typed)


def _resumed_run(typed: dict[str, str], outputs: Path) -> Path:
    resume = typed["resume"]
    if resume == "auto":
        runs = [run for run in trainings_below(outputs) if _is_meant(run, typed)]
        if not runs:
            what = " ".join(f"{key}={typed[key]}" for key in ("experiment", "dataset", "model") if key in typed)
            raise InstsegError(f"resume=auto: no run {what} to go on with below {outputs.absolute()}")
        return max(runs, key=last_alive)
    path = Path(resume).expanduser()
    if path.name == PREVIOUS:
        raise InstsegError(
            f"resume={resume}: the training goes on from {PREVIOUS} by itself where {LAST} is damaged or not there: "
            f"{command_to_go_on(folder_of(path))}"
        )
    if path.suffix == ".ckpt" and path.name != LAST:
        raise InstsegError(
            f"resume={resume}: a training goes on from {LAST}, which holds its whole state. "
            f"To start a new training from these weights: model.weights={resume}"
        )
    if not last_alive(folder_of(path)):
        raise InstsegError(
            f"resume={resume}: {folder_of(path)} has neither checkpoints/{LAST} nor {PREVIOUS} to go on from, nor "
            ".hydra/overrides.yaml to start over with"
        )
    return folder_of(path)


def trainings_below(outputs: Path) -> list[Path]:
    """Folders of trainings, also of those that were killed before their first checkpoint."""
    begun = {path.parents[1] for path in outputs.glob("*/*/.hydra/overrides.yaml")}
    return [run for run in begun | set(runs_below(outputs)) if _is_training(run) and last_alive(run)]


def _is_training(run: Path) -> bool:
    return not any(a.startswith("stage=") and a != "stage=fit" for a in _overrides_of(run))


def command_to_go_on(run: Path) -> str:
    """As it is typed in a shell, for what has started the ranks of this one."""
    start, program = this_start(), "python"
    if start is not None and start.world_size > 1:
        program = "torchrun …" if "TORCHELASTIC_RUN_ID" in os.environ else "srun python"
    return f"{program} train.py {shlex.quote(f'resume={run}')}"


def saved_states(run: Path) -> list[Path]:
    """What a training may go on from: the last checkpoint, then the one before, in case the last is damaged."""
    return [path for name in (LAST, PREVIOUS) if (path := run / "checkpoints" / name).is_file()]


def last_alive(run: Path) -> float:
    """When it was last started or has saved its state; 0.0 for what no training can go on in, or start over in."""
    started = run / ".hydra" / "overrides.yaml"
    signs = [*([started] if started.is_file() else []), *saved_states(run)]
    return max((sign.stat().st_mtime for sign in signs), default=0.0)


def _is_meant(run: Path, typed: dict[str, str]) -> bool:
    if "experiment" in typed:
        return f"experiment={typed['experiment']}" in _overrides_of(run)
    begin = f"{typed['dataset']}_" if "dataset" in typed else ""
    end = f"_{typed['model']}" if "model" in typed else ""
    asked: dict[str, str] = {group: typed[group] for group in ("dataset", "model") if group in typed}
    is_alike = run.parent.name.startswith(begin) and run.parent.name.endswith(end)
    return is_alike and (not asked or _choices_of(run, asked) == asked)


def _choices_of(run: Path, otherwise: dict[str, str]) -> dict[str, str]:
    """What the run has chosen of the same groups, as Hydra keeps it: a dataset's name may begin as another one does."""
    try:
        kept = yaml.safe_load((run / ".hydra" / "hydra.yaml").read_text(encoding="utf-8"))
        return {group: kept["hydra"]["runtime"]["choices"][group] for group in otherwise}
    except (OSError, TypeError, KeyError, yaml.YAMLError):  # killed while Hydra was writing it
        return otherwise
