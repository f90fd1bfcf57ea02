"""Run folders: their names, their checkpoints, and the command that resumes a run. Knows neither Hydra nor torch."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.file_kinds import foreign_kind
from instseg.core.files import home_path
from instseg.core.near_paths import where_looked
from instseg.core.overrides import typed_values
from instseg.runs.external_launch import external_launch, ranks_are_started_externally
from instseg.runs.ownership import OWNER_FILE

BEST, LAST = "best.ckpt", "last.ckpt"
PREVIOUS = "previous.ckpt"  # the one before the last, kept in case that is damaged
_created: list[Path] = []
_created_above: list[Path] = []
_begun_earlier: set[Path] = set()
_withdrawals: dict[Path, Callable[[], None]] = {}
"""Folder that rank 0 has made -> the function that tells the other ranks that it is gone."""


@cache
def run_folder(outputs: str, name: str, resume: str | None, suffix: str) -> str:
    """Make a new folder ``outputs/<name>/<date_time>``, or name the one of the run that is resumed.

    Ranks that were started together share it, and a job that its scheduler restarts continues in it. Cached, because
    Hydra resolves it several times.

    Args:
        outputs: the folder of all runs.
        name: the run's dataset and model.
        resume: a run folder or a checkpoint in it; None for a new run.
        suffix: tells the jobs of a sweep apart.
    """

    def decide() -> Path:
        return folder_of(Path(resume)) if resume else _new_folder(Path(outputs), name, suffix)

    launch = external_launch()
    if launch is None:
        return str(decide())
    place = Path(outputs).absolute()
    folder, is_again = launch.agree_on_folder(place, suffix, decide)
    if launch.rank == 0:
        _withdrawals[folder] = partial(launch.withdraw, place, suffix, folder)
    if is_again:
        _begun_earlier.add(folder)
    return str(folder)


def is_begun_earlier(run_dir: Path) -> bool:
    """Tell whether the folder is an earlier attempt's: the scheduler has restarted this job."""
    return run_dir in _begun_earlier


def _new_folder(outputs: Path, name: str, suffix: str) -> Path:
    """Make the folder exclusively: two runs that start in the same second get two folders."""
    base = outputs.absolute() / name / f"{datetime.now():%Y-%m-%d_%H-%M-%S}{suffix}"
    _created_above.extend(above for above in base.parents if not above.exists())
    for attempt in range(1000):
        folder = base if attempt == 0 else base.with_name(f"{base.name}-{attempt + 1}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InstsegError(f"outputs={outputs}: no folder can be made there: {error}") from error
        _created.append(folder)
        return folder
    raise InstsegError(f"{base}: a thousand runs started in this second")


def remove_unused_folders() -> None:
    """Remove the folders of this process that hold nothing but the log of the failure, and what it made above them."""
    for folder in _created:
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {".hydra", "train.log", OWNER_FILE}:
            shutil.rmtree(folder)
            if folder in _withdrawals:
                with suppress(OSError, RuntimeError):  # a full disk, a store that is gone: the others wait in vain
                    _withdrawals[folder]()
    for above in _created_above:
        if above.is_dir() and not any(above.iterdir()):
            above.rmdir()


def folder_of(path: Path) -> Path:
    """Return the run folder around a checkpoint, or the folder itself."""
    path = path.absolute()
    return path.parents[1] if path.suffix == ".ckpt" else path


def newest(folders: Iterable[Path], *names: str) -> Path | None:
    """Return the checkpoint written last among ``<folder>/checkpoints/<name>``, the first name of each folder."""
    found = [next((f / "checkpoints" / n for n in names if (f / "checkpoints" / n).is_file()), None) for f in folders]
    return max((path for path in found if path), key=lambda path: path.stat().st_mtime, default=None)


def runs_below(outputs: Path) -> list[Path]:
    """Find the run folders that hold checkpoints."""
    return [path.parent for path in outputs.glob("*/*/checkpoints")]


def run_near(path: Path) -> Path | None:
    """Find the run with a checkpoint that a folder is, or lies in, or else the newest one below it.

    Args:
        path: of the folder, which may not be there.
    """
    around = next((folder for folder in (path, *path.parents[:2]) if newest([folder], BEST, LAST)), None)
    below = newest((found.parent for depth in ("*", "*/*") for found in path.glob(f"{depth}/checkpoints")), BEST, LAST)
    return around or (below.parents[1] if below else None)


def saved_states(run: Path) -> list[Path]:
    """List the checkpoints that a training can be resumed from: the last, then the one before it."""
    return [path for name in (LAST, PREVIOUS) if (path := run / "checkpoints" / name).is_file()]


def time_of_last_state(run: Path) -> float:
    """Return when a run last saved its state, in seconds since 1970; 0.0 where it has saved none."""
    return max((path.stat().st_mtime for path in saved_states(run)), default=0.0)


def find_checkpoint(where: str, outputs: Path, key: str = "checkpoint") -> Path:
    """Find a checkpoint: a .ckpt file itself, the best (else the last) of a run folder, or that of the newest run.

    Args:
        where: a file, a run folder, or ``latest``.
        outputs: the folder of all runs, for ``latest``.
        key: that named it, for messages.

    Raises:
        InstsegError: there is none.
    """
    if where == "latest":
        found = newest(runs_below(outputs), BEST, LAST)
        if found is None:
            raise InstsegError(
                f"{key}=latest: no run with a checkpoint below {outputs.absolute()}. Train first: "
                f"{typed_command('train')} dataset=auto dataset.root=my_folder; or say where the runs are: outputs="
            )
        return found
    path = home_path(where)
    if path.is_dir():
        inside = newest([path], BEST, LAST)
        if inside is None:
            near = run_near(path)
            remedy = (
                f"Did you mean {shlex.quote(f'{key}={near}')}?"
                if near
                else "Expected a run, such as outputs/…/2026-01-31_12-00-00"
            )
            raise InstsegError(f"{key}={where}: this folder has no checkpoints/{BEST} or {LAST}. {remedy}")
        return inside
    if not path.is_file():
        raise InstsegError(f"{key}={where}: no such file or run folder{where_looked(path)}")
    kind = foreign_kind(path)
    if kind is not None:
        raise InstsegError(f"{key}={where}: expected a checkpoint of instseg, found {kind}")
    return path


def resume_command(run: Path) -> str:
    """Return the shell command that resumes a run, for whatever started the ranks of this one."""
    launcher = ""
    if ranks_are_started_externally():
        launcher = "torchrun …" if "TORCHELASTIC_RUN_ID" in os.environ else "srun python"
    return f"{typed_command('train', launcher)} {shlex.quote(f'resume={run}')}"


@contextmanager
def kept_if_refused(arguments: Iterable[str]) -> Iterator[None]:
    """Put back the settings of a run, which Hydra writes anew, where it fails before it has saved its state with them.

    Args:
        arguments: of the command; without ``resume=`` nothing is done.
    """
    resume = typed_values(arguments).get("resume", "null")
    run = Path(resume)
    files = (*run.glob(".hydra/*.yaml"), run / "config.yaml") if resume not in ("null", "") else ()
    kept = {file: file.read_bytes() for file in files if file.is_file()}
    saved = time_of_last_state(run)
    try:
        yield
    except (Exception, SystemExit) as error:
        is_refused = not isinstance(error, SystemExit) or error.code == 1  # and not stopped by a signal
        if is_refused and time_of_last_state(run) == saved:
            for file, content in kept.items():
                file.write_bytes(content)
        raise
