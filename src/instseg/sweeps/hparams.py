"""The jobs of a sweep as TensorBoard's HPARAMS tab reads them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from torch.utils.tensorboard import summary
from torch.utils.tensorboard.writer import FileWriter

from instseg.atomic import new_folder
from instseg.sweeps.ranking import Row, short
from instseg.sweeps.records import SweepInfo


def write_hparams(folder: Path, rows: Sequence[Row], info: SweepInfo) -> None:
    """One TensorBoard run for each job that has a metric: its values, the metric, and that on test. Replaces all."""
    shutil.rmtree(folder, ignore_errors=True)
    with new_folder(folder) as scratch:
        tested = f"test/{info.metric.removeprefix('val/')}"
        for row in rows:
            metrics = {info.metric: row.metric, tested: row.tested}
            if row.metric is not None:
                known = {name: value for name, value in metrics.items() if value is not None}
                _write_job(scratch / _name(row), row, known, info)


def _name(row: Row) -> str:
    text = " ".join(f"{key}={short(value)}" for key, value in row.record.values.items())
    return f"{row.record.number:03d} {text}".replace("/", "_")[:120]


def _write_job(folder: Path, row: Row, metrics: dict[str, float], info: SweepInfo) -> None:
    writer = FileWriter(str(folder))
    started = _timestamp(row)
    values = {key: _typed(row.record.values[key]) for key in info.values if key in row.record.values}
    for part in summary.hparams(values, metrics):  # type: ignore[no-untyped-call]
        writer.add_summary(part, walltime=started)
    for name, value in metrics.items():
        written = summary.scalar(name, value)  # type: ignore[no-untyped-call]
        writer.add_summary(written, global_step=0, walltime=started + row.record.seconds)
    writer.close()


def _timestamp(row: Row) -> float:
    started = row.record.started
    return datetime.fromisoformat(started).timestamp() if started else 0.0


def _typed(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
