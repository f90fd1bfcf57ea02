"""Comparison of a run with the run that it repeats: environment, settings, data, metrics and weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import torch
from rich.console import Console
from rich.table import Table

from instseg.checkpoints.description import read_weights
from instseg.checkpoints.files import load_checkpoint
from instseg.core.atomic import write_text_atomically
from instseg.core.text import plural
from instseg.runs.differences import ABSENT, CHANGES_NOTHING, Differences, differences
from instseg.runs.folders import BEST, LAST
from instseg.runs.manifest import RunStart, newest_start
from instseg.runs.outcome import read_metrics, read_settings

MEASURED_TIME = "images_per_second"  # no two runs have the same
MISSING = "missing"
DIFF = "git.dirty_diff"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences of two runs; empty where there are none."""

    environment: Differences
    """Packages and instseg itself, number of processes, hardware, commit, uncommitted changes and new files."""
    settings: Differences
    data: Differences
    metrics: Differences
    weights: dict[str, float | str]
    """Checkpoint -> the largest difference of two of its weights, 0.0 when all are the same; or why it has none."""
    num_metrics: int

    @property
    def is_same_result(self) -> bool:
        """True where metrics and weights are the same."""
        return not self.metrics and all(largest in (0.0, MISSING) for largest in self.weights.values())


def compare_runs(original: Path, repeated: Path) -> Comparison:
    """Compare what the folders of two finished runs hold.

    Args:
        original: folder of the run that was repeated.
        repeated: folder of the run that repeats it.

    Returns:
        All that differs.

    Raises:
        InstsegError: a file of the original is missing or damaged.
    """
    then, now = newest_start(original), newest_start(repeated)
    metrics = read_metrics(original), read_metrics(repeated)
    return Comparison(
        environment=_shortened(differences(_environment(then), _environment(now))),
        settings=differences(read_settings(original), read_settings(repeated), CHANGES_NOTHING),
        data=differences({"fingerprint": then.data_fingerprint}, {"fingerprint": now.data_fingerprint}),
        metrics=differences(*metrics, (MEASURED_TIME,)),
        weights={name: _largest_difference(original, repeated, name) for name in (BEST, LAST)},
        num_metrics=len({*metrics[0], *metrics[1]} - {MEASURED_TIME}),
    )


def _environment(start: RunStart) -> dict[str, object]:
    parts = {"packages": start.packages, "processes": start.processes, "hardware": start.hardware, "git": start.git}
    return {name: msgspec.to_builtins(part) for name, part in parts.items()}


def _shortened(found: Differences) -> Differences:
    """Say of uncommitted changes that they differ, not each line of them."""
    if DIFF in found:
        then, now = (_num_lines(text) for text in found[DIFF])
        found[DIFF] = then, now if now != then else f"{now}, others"
    return found


def _num_lines(diff: object) -> str:
    return f"{plural(len(str(diff).splitlines()), 'line')} changed" if diff else "none"


def _largest_difference(original: Path, repeated: Path, name: str) -> float | str:
    paths = [folder / "checkpoints" / name for folder in (original, repeated)]
    if not all(path.is_file() for path in paths):
        return MISSING
    ours, theirs = (read_weights(load_checkpoint(path, mmap=True), path) for path in paths)
    if {key: value.shape for key, value in ours.items()} != {key: value.shape for key, value in theirs.items()}:
        return "another network"
    gaps = [(ours[key].double() - theirs[key].double()).abs().max() for key in ours if ours[key].numel()]
    return float(torch.stack(gaps).max())


def write_comparison(comparison: Comparison, original: Path, path: Path) -> None:
    """Write a comparison as json.

    Args:
        comparison: of two runs.
        original: folder of the run that was repeated.
        path: the file to write.
    """
    content = {"original": str(original), "same_result": comparison.is_same_result, **asdict(comparison)}
    write_text_atomically(path, json.dumps(content, indent=2, default=str) + "\n")


def print_comparison(comparison: Comparison, original: Path, console: Console) -> None:
    """Print one table of all that differs, and lines that say whether weights and metrics do.

    Args:
        comparison: of two runs.
        original: folder of the run that was repeated.
        console: to print on.
    """
    table = Table(title=f"Compared with {original}", title_justify="left")
    for column in ("", "what", "then", "now"):
        table.add_column(column, overflow="fold")
    for part in ("environment", "settings", "data", "metrics"):
        found: Differences = getattr(comparison, part)
        for name, (then, now) in found.items():
            table.add_row(part, name, _shown(then), _shown(now))
    if table.row_count:
        console.print(table)
    for name, largest in comparison.weights.items():
        same = {0.0: "the same weights, bit for bit", MISSING: "not in both runs"}.get(largest, f"differs by {largest}")
        console.print(f"{name + ':':17}{same}", highlight=False)
    result = f"all {comparison.num_metrics} the same" if not comparison.metrics else f"{len(comparison.metrics)} differ"
    console.print(f"{'metrics:':17}{result}", highlight=False)


def _shown(value: object) -> str:
    return "–" if value == ABSENT else f"{value:.6g}" if isinstance(value, float) else str(value)
