"""The overrides that a run was started with, as Hydra stored them in its folder, and the runs found by them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from instseg.core.records import RecordError
from instseg.core.yaml_records import read_plain_yaml
from instseg.runs.folders import runs_below, time_of_last_state
from instseg.runs.manifest import MANIFEST, newest_start

OVERRIDES = Path(".hydra") / "overrides.yaml"
HYDRA = Path(".hydra") / "hydra.yaml"
ADDED = "command-line"  # Hydra's name for a source that --config-dir adds
REMEDY = "type the overrides of the run instead of resuming it"


class _Source(msgspec.Struct):
    path: str
    provider: str


class _Runtime(msgspec.Struct):
    choices: dict[str, object]
    """Config group -> the option that was chosen of it, or a list of them."""
    config_sources: list[_Source] = msgspec.field(default_factory=list)


class _Hydra(msgspec.Struct):
    runtime: _Runtime


class _HydraFile(msgspec.Struct):
    """The part of Hydra's own ``hydra.yaml`` that is read back."""

    hydra: _Hydra


def stored_overrides(run: Path) -> list[str]:
    """Return the overrides that a run was started with; none where the folder is no run's.

    Hydra does not write the file atomically: where it is empty, the process was killed meanwhile, and the overrides
    are those of the command in the manifest.

    Raises:
        RecordError: the file holds something else than a list of overrides.
    """
    file = run / OVERRIDES
    if not os.path.lexists(file):
        return []
    if not file.is_file() or file.stat().st_size:
        return read_plain_yaml(file, list[str], REMEDY)
    return newest_start(run).command[1:] if (run / MANIFEST).is_file() else []


def is_training(run: Path) -> bool:
    """Tell whether the run trained, and did not only measure a checkpoint or look at the data."""
    return not any(a.startswith("stage=") and a != "stage=fit" for a in stored_overrides(run))


def trainings_below(outputs: Path) -> list[Path]:
    """Find the folders of trainings, also of those that were killed before their first checkpoint."""
    begun = {path.parents[1] for path in outputs.glob(f"*/*/{OVERRIDES}")}
    return [run for run in begun | set(runs_below(outputs)) if _is_readable_training(run) and last_alive(run)]


def _is_readable_training(run: Path) -> bool:
    """Tell whether a folder among many is a training's; a damaged one is no reason to stop."""
    try:
        return is_training(run)
    except RecordError:
        return False


def last_alive(run: Path) -> float:
    """Return when a run was last started or saved its state, as a timestamp; 0.0 where nothing can be resumed."""
    started = run / OVERRIDES
    return max(started.stat().st_mtime if started.is_file() else 0.0, time_of_last_state(run))


def config_dirs_of(run: Path) -> list[str]:
    """Return the folders of configs that a run was started with besides ours, for messages; none of them is read."""
    try:
        sources = read_plain_yaml(run / HYDRA, _HydraFile, REMEDY).hydra.runtime.config_sources
    except RecordError:
        return []
    return [source.path for source in sources if source.provider == ADDED]


def choices_of(run: Path, groups: Iterable[str]) -> dict[str, object] | None:
    """Return the options that a run chose of some config groups, as Hydra stored them.

    None where the file is of no use: Hydra does not write it atomically, and may have been killed meanwhile.

    Args:
        run: its folder.
        groups: names such as ``dataset``; None is returned where one of them is unknown.
    """
    try:
        choices = read_plain_yaml(run / HYDRA, _HydraFile, REMEDY).hydra.runtime.choices
    except RecordError:
        return None
    return {group: choices[group] for group in groups} if choices.keys() >= set(groups) else None
