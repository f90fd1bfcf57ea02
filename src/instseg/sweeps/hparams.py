"""The jobs of a sweep as TensorBoard's HPARAMS tab reads them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from torch.utils.tensorboard import summary
from torch.utils.tensorboard.writer import FileWriter

from instseg.checkpoints.event_files import EVENT_FILES
from instseg.core.atomic import exclusive_lock, new_folder
from instseg.sweeps.ranking import Row, leaves, short
from instseg.sweeps.records import DONE, SweepInfo


def write_hparams(folder: Path, rows: Sequence[Row], info: SweepInfo) -> None:
    """One TensorBoard run for each job that has a metric: its values, the metric, that on test, and its curves.

    The metric is that of the best checkpoint, and called so: the curve of the same name may end elsewhere. Where some
    were given up, a column tells which. Replaces all; a second caller waits for the first.
    """
    measured = [row for row in rows if row.metric is not None]
    has_states = any(row.record.state != DONE for row in measured)
    with exclusive_lock(folder.with_name(f".{folder.name}.lock"), f"write {folder}"), new_folder(folder) as scratch:
        shutil.rmtree(folder, ignore_errors=True)
        for row in measured:
            values: dict[str, float | str] = {key: _typed(row.record.values.get(key, "")) for key in info.values}
            _write_job(scratch / _name(row), row, values | ({"state": row.record.state} if has_states else {}), info)


def _name(row: Row) -> str:
    """Short, because the tab shows little of it."""
    values = row.record.values
    pairs = zip(leaves(list(values)), values.values(), strict=True)
    text = " ".join(f"{key}={short(value)}" for key, value in pairs)
    return f"{row.record.number:03d} {text}".replace("/", "_")[:120]


def _write_job(folder: Path, row: Row, values: dict[str, float | str], info: SweepInfo) -> None:
    writer = FileWriter(str(folder))
    started = _timestamp(row)
    best, tested = f"best {info.metric}", f"test/{info.metric.removeprefix('val/')}"
    known = {name: value for name, value in ((best, row.metric), (tested, row.tested)) if value is not None}
    for part in summary.hparams(values, known):  # type: ignore[no-untyped-call]
        writer.add_summary(part, walltime=started)
    for name in known if not _link_curves(folder, row) else [best]:
        written = summary.scalar(name, known[name])  # type: ignore[no-untyped-call]
        writer.add_summary(written, global_step=0, walltime=started + row.record.seconds)
    writer.close()


def _link_curves(folder: Path, row: Row) -> bool:
    """What the run itself has logged, the metric on test too; False where there is nothing, or no links can be made."""
    events = list(Path(row.record.run_dir).glob(EVENT_FILES)) if row.record.run_dir else []
    try:
        for file in events:
            (folder / file.name).symlink_to(file)
    except OSError:  # Windows has a right of its own for them
        return False
    return bool(events)


def _timestamp(row: Row) -> float:
    started = row.record.started
    return datetime.fromisoformat(started).timestamp() if started else 0.0


def _typed(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
