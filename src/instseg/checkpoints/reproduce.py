"""A run compared with the run that it repeats: environment, settings, data, metrics and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from instseg.checkpoints.files import load_checkpoint
from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.runs.differences import ABSENT, CHANGES_NOTHING, differences
from instseg.runs.folders import BEST, LAST

MEASURED_TIME = "images_per_second"  # no two runs have the same
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Name -> (then, now) of all that is not the same; empty dictionaries where everything is."""

    environment: dict[str, tuple[Any, Any]]
    """Packages and instseg itself, number of processes, hardware, commit, uncommitted changes and new files."""
    settings: dict[str, tuple[Any, Any]]
    data: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[Any, Any]]
    weights: dict[str, float | str]
    """Checkpoint -> the largest difference of two of its weights, 0.0 when all are the same; or why there is none."""
    num_metrics: int

    @property
    def is_same_result(self) -> bool:
        return not self.metrics and all(largest in (0.0, MISSING) for largest in self.weights.values())


def compare_runs(original: Path, repeated: Path) -> Comparison:
    """Read from the folders of two runs that have ended. InstsegError where the original's record is missing."""
    starts = [_start(folder) for folder in (original, repeated)]
    settings = [_flat_config(folder) for folder in (original, repeated)]
    metrics = [_metrics(folder) for folder in (original, repeated)]
    data = [{"fingerprint": start["data_fingerprint"]} for start in starts]
    environment = [{key: start.get(key) for key in ("packages", "processes", "hardware", "git")} for start in starts]
    return Comparison(
        environment=_shortened(differences(environment[0], environment[1])),
        settings=differences(settings[0], settings[1], CHANGES_NOTHING),
        data=differences(data[0], data[1]),
        metrics=differences(metrics[0], metrics[1], (MEASURED_TIME,)),
        weights={name: _largest_difference(original, repeated, name) for name in (BEST, LAST)},
        num_metrics=len({*metrics[0], *metrics[1]} - {MEASURED_TIME}),
    )


def _start(folder: Path) -> dict[str, Any]:
    """The record of the newest start: of a run that was resumed, that which has ended it."""
    start: dict[str, Any] = _read_json(folder / "manifest.json")["starts"][-1]
    return start


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InstsegError(f"{path} is missing: has this run ended, and was it a training?") from error


def _flat_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return config


def _metrics(folder: Path) -> dict[str, float]:
    metrics: dict[str, float] = _read_json(folder / "metrics.json")
    return metrics


def _shortened(found: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Of uncommitted changes it is said that they differ, not each line of them."""
    if "git.dirty_diff" in found:
        then, now = (f"{len(text.splitlines())} lines changed" if text else "none" for text in found["git.dirty_diff"])
        found["git.dirty_diff"] = then, now if now != then else f"{now}, others"
    return found


def _largest_difference(original: Path, repeated: Path, name: str) -> float | str:
    paths = [folder / "checkpoints" / name for folder in (original, repeated)]
    if not all(path.is_file() for path in paths):
        return MISSING
    ours, theirs = (load_checkpoint(path, mmap=True)["state_dict"] for path in paths)
    if {key: value.shape for key, value in ours.items()} != {key: value.shape for key, value in theirs.items()}:
        return "another network"
    gaps = [(ours[key].double() - theirs[key].double()).abs().max() for key in ours if ours[key].numel()]
    return float(torch.stack(gaps).max())


def write_comparison(comparison: Comparison, original: Path, path: Path) -> None:
    content = {"original": str(original), "same_result": comparison.is_same_result, **asdict(comparison)}
    write_text_atomically(path, json.dumps(content, indent=2, default=str) + "\n")


def print_comparison(comparison: Comparison, original: Path, console: Console) -> None:
    """One table of all that differs, and one line that says whether the result does."""
    table = Table(title=f"Compared with {original}", title_justify="left")
    for column in ("", "what", "then", "now"):
        table.add_column(column, overflow="fold")
    for part in ("environment", "settings", "data", "metrics"):
        found: Mapping[str, tuple[Any, Any]] = getattr(comparison, part)
        for name, (then, now) in found.items():
            table.add_row(part, name, _shown(then), _shown(now))
    if table.row_count:
        console.print(table)
    for name, largest in comparison.weights.items():
        same = {0.0: "the same weights, bit for bit", MISSING: "not in both runs"}.get(largest, f"differs by {largest}")
        console.print(f"{name + ':':17}{same}", highlight=False)
    result = f"all {comparison.num_metrics} the same" if not comparison.metrics else f"{len(comparison.metrics)} differ"
    console.print(f"{'metrics:':17}{result}", highlight=False)


def _shown(value: Any) -> str:
    return "–" if value == ABSENT else f"{value:.6g}" if isinstance(value, float) else str(value)
