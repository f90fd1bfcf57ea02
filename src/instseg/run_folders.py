"""Which folder a run writes to, and which run a command goes on from. Knows neither Hydra nor torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

import yaml

from instseg.errors import InstsegError

BEST, LAST = "best.ckpt", "last.ckpt"
NOT_INHERITED = ("resume", "stage", "checkpoint", "outputs", "run_dir", "hydra")
_created: list[Path] = []


@cache
def run_folder(outputs: str, name: str, resume: str | None, suffix: str) -> str:
    """A new folder ``outputs/<name>/<date_time>``, or the one of the run that is resumed.

    The folder is created here, exclusively: two runs started in the same second get two folders. Cached, because
    Hydra resolves it several times.
    """
    if resume:
        return str(folder_of(Path(resume)))
    base = Path(outputs).absolute() / name / f"{datetime.now():%Y-%m-%d_%H-%M-%S}{suffix}"
    for attempt in range(1000):
        folder = base if attempt == 0 else base.with_name(f"{base.name}-{attempt + 1}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        _created.append(folder)
        return str(folder)
    raise InstsegError(f"{base}: a thousand runs started in this second")


def remove_unused_folders() -> None:
    """Take back the folders of this process in which nothing but the log of the failure lies."""
    for folder in _created:
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {".hydra", "train.log"}:
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
    ``resume=`` and ``checkpoint=`` bring the overrides that are kept in that run's ``.hydra/overrides.yaml``.
    """
    typed = dict(a.split("=", 1) for a in arguments if "=" in a and not a.startswith("-"))
    outputs = Path(typed.get("outputs", "outputs"))
    if typed.get("resume") not in (None, "null", ""):
        run = _resumed_run(typed, outputs)
        arguments = [f"resume={run}" if a.startswith("resume=") else a for a in arguments]
    elif typed.get("checkpoint") not in (None, "null", ""):
        run = folder_of(find_checkpoint(typed["checkpoint"], outputs))
    else:
        return list(arguments)
    return [*(a for a in _overrides_of(run) if not _typed_anew(a, typed)), *arguments]


def _overrides_of(run: Path) -> list[str]:
    """What a run was started with, as Hydra keeps it; nothing where the folder is no run's."""
    kept = run / ".hydra" / "overrides.yaml"
    return yaml.safe_load(kept.read_text()) or [] if kept.is_file() else []


def _typed_anew(argument: str, typed: Iterable[str]) -> bool:
    """Whether the key itself, or the group around it, is among the typed ones; or belongs to its own run alone."""
    key = argument.split("=", 1)[0].lstrip("+~")
    group = key.partition(".")[0]
    return group in NOT_INHERITED or any(t.lstrip("+~") in (key, group) for t in typed)


def _resumed_run(typed: dict[str, str], outputs: Path) -> Path:
    resume = typed["resume"]
    if resume == "auto":
        runs = [run for run in runs_below(outputs) if _is_meant(run, typed)]
        found = newest(runs, LAST)
        if found is None:
            what = " ".join(f"{key}={typed[key]}" for key in ("experiment", "dataset", "model") if key in typed)
            raise InstsegError(f"resume=auto: no run {what} with checkpoints/{LAST} below {outputs.absolute()}")
        return folder_of(found)
    path = Path(resume).expanduser()
    if path.suffix == ".ckpt" and path.name != LAST:
        raise InstsegError(
            f"resume={resume}: a training goes on from {LAST}, which holds its whole state. "
            f"To start a new training from these weights: model.weights={resume}"
        )
    if not (folder_of(path) / "checkpoints" / LAST).is_file():
        raise InstsegError(f"resume={resume}: {folder_of(path)} has no checkpoints/{LAST} to go on from")
    return folder_of(path)


def _is_meant(run: Path, typed: dict[str, str]) -> bool:
    if "experiment" in typed:
        return f"experiment={typed['experiment']}" in _overrides_of(run)
    name = run.parent.name
    return name.startswith(typed.get("dataset", "")) and name.endswith(typed.get("model", ""))
