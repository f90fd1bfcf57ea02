"""The overrides that a run was started with, as Hydra stored them in its folder, and the runs found by them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from instseg.core.errors import InstsegError
from instseg.runs.folders import runs_below, time_of_last_state

OVERRIDES = Path(".hydra") / "overrides.yaml"


def stored_overrides(run: Path) -> list[str]:
    """Return the overrides that a run was started with; none where the folder is no run's.

    Raises:
        InstsegError: the file holds something else than a list of overrides.
    """
    file = run / OVERRIDES
    if not file.is_file():
        return []
    try:
        text = file.read_text(encoding="utf-8")
        if not text.strip() and (run / "manifest.json").is_file():  # killed while Hydra was writing it
            return list(last_start(run)["command"][1:])
        return msgspec.convert(yaml.safe_load(text) or [], list[str])
    except (OSError, ValueError, RecursionError, yaml.YAMLError, msgspec.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InstsegError(
            f"{file}: expected a list of overrides, found something else ({reason}); type the overrides of the run "
            "instead of resuming it"
        ) from error


def last_start(run: Path) -> dict[str, Any]:
    """Return what the manifest says of the newest start.

    Raises:
        InstsegError: there is no manifest, or it is damaged.
    """
    try:
        start: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["starts"][-1]
    except (OSError, ValueError, KeyError) as error:
        raise InstsegError(f"{run}: expected a run's folder with its manifest.json") from error
    return start


def is_training(run: Path) -> bool:
    """Tell whether the run trained, and did not only measure a checkpoint or look at the data."""
    return not any(a.startswith("stage=") and a != "stage=fit" for a in stored_overrides(run))


def trainings_below(outputs: Path) -> list[Path]:
    """Find the folders of trainings, also of those that were killed before their first checkpoint."""
    begun = {path.parents[1] for path in outputs.glob(f"*/*/{OVERRIDES}")}
    return [run for run in begun | set(runs_below(outputs)) if is_training(run) and last_alive(run)]


def last_alive(run: Path) -> float:
    """Return when a run was last started or saved its state, as a timestamp; 0.0 where nothing can be resumed."""
    started = run / OVERRIDES
    return max(started.stat().st_mtime if started.is_file() else 0.0, time_of_last_state(run))


def choices_of(run: Path, groups: Iterable[str]) -> dict[str, str] | None:
    """Read the options that a run chose of some config groups; None where Hydra was killed while it wrote them."""
    try:
        stored = yaml.safe_load((run / ".hydra" / "hydra.yaml").read_text(encoding="utf-8"))
        return {group: stored["hydra"]["runtime"]["choices"][group] for group in groups}
    except (OSError, TypeError, KeyError, ValueError, yaml.YAMLError):
        return None
