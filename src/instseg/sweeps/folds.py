"""The runs of a cross-validation: which of them has not seen which part of the images.

Imports no torch: the command line asks for them.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.sweeps.records import DONE, JobRecord, SweepInfo
from instseg.sweeps.sweep_folder import SweepFolder

AXIS = "fold"


@dataclass(frozen=True)
class FoldRun:
    """A run that has not been trained on one part of the images, its val."""

    fold: int
    run: Path


@dataclass(frozen=True)
class FoldRuns:
    """The finished runs of one cross-validation."""

    runs: list[FoldRun]
    num_folds: int
    others: str
    """Values of what else was swept, such as ``model=small``; empty where nothing was."""


def is_sweep(where: Path) -> bool:
    """Tell whether a folder is that of a sweep."""
    return SweepFolder(where).info_file.is_file()


def fold_runs(where: Path) -> FoldRuns:
    """Find the runs of a cross-validation; where several were swept, those with the best mean metric.

    Args:
        where: folder of the sweep.

    Raises:
        InstsegError: the sweep is of another kind, or none of its jobs is done.
    """
    folder = SweepFolder(where)
    info = folder.read_info()
    if info.strategy != "kfold":
        raise InstsegError(f"{where}: expected a sweep=kfold, found sweep={info.strategy or 'of your own'}")
    groups: defaultdict[str, list[JobRecord]] = defaultdict(list)
    for record in folder.records([AXIS]):
        if record.state == DONE and record.metric is not None and record.run_dir and record.values[AXIS].isdigit():
            groups[_others(record)].append(record)
    if not groups:
        raise InstsegError(f"{where}: no fold is done; resume it with resume={where}")
    others = _best(groups, info)
    runs = [FoldRun(int(record.values[AXIS]), Path(record.run_dir or "")) for record in groups[others]]
    num_folds = info.options.get("folds")
    return FoldRuns(runs, num_folds if isinstance(num_folds, int) else len(runs), others)


def missing_folds(found: FoldRuns) -> str:
    """Return the numbers of the folds without a finished run as a text; empty where there is none."""
    missing = sorted({*range(found.num_folds)} - {run.fold for run in found.runs})
    return list_names(missing) if missing else ""


def _others(record: JobRecord) -> str:
    return ", ".join(f"{key}={value}" for key, value in record.values.items() if key != AXIS)


def _best(groups: Mapping[str, Sequence[JobRecord]], info: SweepInfo) -> str:
    means = {others: statistics.fmean(record.metric or 0.0 for record in group) for others, group in groups.items()}
    return (max if info.mode == "max" else min)(means, key=means.__getitem__)
