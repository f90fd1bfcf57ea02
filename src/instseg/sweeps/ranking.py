"""The rows of a leaderboard, best first, with the metrics of each run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.atomic import write_text_atomically
from instseg.core.channels import csv_cell
from instseg.runs.outcome import METRICS, read_metrics
from instseg.sweeps.comparison import Difference, compare_runs
from instseg.sweeps.records import DONE, PRUNED, RETRIED, JobRecord, SweepInfo

MAX_SHOWN = 80  # letters of a value
MAX_NUMBER = 400  # letters of a text that may be a number
HUGE = 1e6
ORDER = (DONE, PRUNED)  # others after them, by number


@dataclass(frozen=True)
class Row:
    """A job and its place: None where it is not done."""

    rank: int | None
    record: JobRecord
    tested: float | None  # the monitored metric on the test images

    @property
    def metric(self) -> float | None:
        """The monitored metric, where it is a finite number."""
        value = self.record.metric
        return value if value is not None and math.isfinite(value) else None


def ranked(records: Sequence[JobRecord], info: SweepInfo) -> list[Row]:
    """Return done jobs by the monitored metric, then those that were pruned, then all others.

    Args:
        records: of all jobs.
        info: names the metric, and the direction in which it is better.

    Raises:
        RecordError: the metrics of a run are damaged.
    """
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
    """Read the metric of a run on the test images; None where it was not tested."""
    run = Path(record.run_dir or "")
    if record.state != DONE or not (run / METRICS).is_file():
        return None
    return read_metrics(run).get(f"test/{metric.removeprefix('val/')}")


def compare_records(one: JobRecord, other: JobRecord, metric: str, comparisons: int = 1) -> Difference:
    """Compare two jobs on their test images.

    Args:
        one: a job.
        other: the job to compare it with.
        metric: such as segm_map.
        comparisons: number of comparisons of which this is one, for the width of the interval.

    Raises:
        InstsegError: they cannot be compared.
    """
    return compare_runs(Path(one.run_dir or ""), Path(other.run_dir or ""), metric, comparisons=comparisons)


def write_csv(path: Path, rows: Sequence[Row], info: SweepInfo) -> None:
    """Write one line for each job, numbers in full, atomically.

    Args:
        path: of the CSV.
        rows: in their order.
        info: names the swept keys and the metric.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tested = f"test/{info.metric.removeprefix('val/')}"
    columns = [*info.values, info.metric, tested]
    writer.writerow(["rank", "job", *map(csv_cell, columns), "state", "reason", "seconds", "run_dir"])
    for row in rows:
        r = row.record
        values = [r.values.get(key, "") for key in info.values]
        ending = [r.state, r.reason, r.seconds, r.run_dir]
        cells = [row.rank, r.number, *values, row.metric, row.tested, *ending]
        writer.writerow(map(csv_cell, cells))
    write_text_atomically(path, text.getvalue())


def short(value: str) -> str:
    """Return a value as people write it: a number with four digits, a path by its name, the start of a long text."""
    try:
        number = float(value[:MAX_NUMBER])
    except ValueError:
        name = value.rpartition("/")[2] or value
        return name if len(name) <= MAX_SHOWN else f"{name[: MAX_SHOWN - 1]}…"
    return f"{number:.4g}"


def decimals(value: float) -> str:
    """Return a metric with three decimals, a huge one with four digits."""
    return f"{value:.3f}" if abs(value) < HUGE else f"{value:.4g}"


def leaves(keys: Sequence[str]) -> list[str]:
    """Return the last part of each dotted key, or all of it where two end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]
