"""The rows of a leaderboard, best first, with the numbers that each run has written."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.atomic import write_text_atomically
from instseg.sweeps.comparison import Difference, compare_runs
from instseg.sweeps.records import DONE, PRUNED, RETRIED, JobRecord, SweepInfo

ORDER = (DONE, PRUNED)  # others after them, by number


@dataclass(frozen=True)
class Row:
    """A job and its place: None where it is not done."""

    rank: int | None
    record: JobRecord
    tested: float | None  # the monitored metric on the test images

    @property
    def metric(self) -> float | None:
        value = self.record.metric
        return value if value is not None and math.isfinite(value) else None


def ranked(records: Sequence[JobRecord], info: SweepInfo) -> list[Row]:
    """Done jobs by the monitored metric, then those that were given up, then all others."""
    sign = -1 if info.mode == "max" else 1

    def key(row: Row) -> tuple[int, float, int]:
        state = row.record.state
        place = ORDER.index(state) if state in ORDER else len(ORDER)
        return place, math.inf if row.metric is None else sign * row.metric, row.record.number

    rows = sorted((Row(None, r, _tested(r, info.metric)) for r in records if r.state != RETRIED), key=key)
    return [
        Row(i + 1, row.record, row.tested) if row.record.state == DONE and row.metric is not None else row
        for i, row in enumerate(rows)
    ]


def _tested(record: JobRecord, metric: str) -> float | None:
    """From the run's metrics.json; None where nothing was tested."""
    file = Path(record.run_dir or "") / "metrics.json"
    if record.state != DONE or not file.is_file():
        return None
    value = json.loads(file.read_text(encoding="utf-8")).get(f"test/{metric.removeprefix('val/')}")
    return None if value is None else float(value)


def compare_records(one: JobRecord, other: JobRecord, metric: str, comparisons: int = 1) -> Difference:
    """Two jobs on their test images; InstsegError where they cannot be compared."""
    return compare_runs(Path(one.run_dir or ""), Path(other.run_dir or ""), metric, comparisons=comparisons)


def write_csv(path: Path, rows: Sequence[Row], info: SweepInfo) -> None:
    """One line for each job, numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tested = f"test/{info.metric.removeprefix('val/')}"
    writer.writerow(["rank", "job", *info.values, info.metric, tested, "state", "reason", "seconds", "run_dir"])
    for row in rows:
        r = row.record
        values = [r.values.get(key, "") for key in info.values]
        ending = [r.state, r.reason, r.seconds, r.run_dir]
        writer.writerow([row.rank, r.number, *values, row.metric, row.tested, *ending])
    write_text_atomically(path, text.getvalue())


def short(value: str) -> str:
    """A typed value as people write it: numbers with four digits, paths by their name."""
    try:
        number = float(value)
    except ValueError:
        return value.rpartition("/")[2] or value
    return f"{number:.4g}"


def leaves(keys: Sequence[str]) -> list[str]:
    """The last part of each dotted key, or all of it where two end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]
