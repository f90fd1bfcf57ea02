"""The jobs of a sweep for the HPARAMS tab of TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import summary
from torch.utils.tensorboard.writer import FileWriter

from instseg.checkpoints.event_files import EVENT_FILES
from instseg.core.locks import exclusive_lock
from instseg.core.new_folders import new_folder
from instseg.sweeps.ranking import MAX_NUMBER, Row, leaves, short
from instseg.sweeps.records import DONE, SweepInfo

MAX_BYTES = 120  # of the name of a run: the tab shows little of it


def write_hparams(folder: Path, rows: Sequence[Row], info: SweepInfo) -> None:
    """Write one TensorBoard run for each job with a metric: its values, the metric on val and test, and its curves.

    The metric is that of the best checkpoint, and called so: the curve of the same name may end elsewhere. Where some
    jobs were pruned, a column tells which. Everything is replaced; a second caller waits for the first.

    Args:
        folder: is made, or replaced.
        rows: of the leaderboard.
        info: names the swept keys and the metric.
    """
    measured = [row for row in rows if row.metric is not None]
    has_states = any(row.record.state != DONE for row in measured)
    with exclusive_lock(folder.with_name(f".{folder.name}.lock"), f"write {folder}"), new_folder(folder) as scratch:
        shutil.rmtree(folder, ignore_errors=True)
        for row in measured:
            values: dict[str, float | str] = {
                key: _number_or_text(row.record.values.get(key, "")) for key in info.values
            }
            _write_job(scratch / _name(row), row, values | ({"state": row.record.state} if has_states else {}), info)


def _name(row: Row) -> str:
    """Return a name that a folder can have."""
    values = row.record.values
    pairs = zip(leaves(list(values)), values.values(), strict=True)
    text = " ".join(f"{key}={short(value)}" for key, value in pairs)
    name = "".join(c if c.isprintable() and c != "/" else "_" for c in f"{row.record.number:03d} {text}")
    return name.encode()[:MAX_BYTES].decode(errors="ignore")


def _write_job(folder: Path, row: Row, values: dict[str, float | str], info: SweepInfo) -> None:
    writer = FileWriter(str(folder))
    started = _timestamp(row)
    best, tested = f"best {info.metric}", f"test/{info.metric.removeprefix('val/')}"
    known = {name: value for name, value in ((best, row.metric), (tested, row.tested)) if value is not None}
    for part in summary.hparams(values, known):
        writer.add_summary(part, walltime=started)
    for name in known if not _link_curves(folder, row) else [best]:
        written = summary.scalar(name, known[name])
        writer.add_summary(written, global_step=0, walltime=started + row.record.seconds)
    writer.close()


def _link_curves(folder: Path, row: Row) -> bool:
    """Link all that the run logged; False where there is nothing, or no links can be made."""
    events = list(Path(row.record.run_dir).glob(EVENT_FILES)) if row.record.run_dir else []
    try:
        for file in events:
            (folder / file.name).symlink_to(file)
    except OSError:  # Windows has a right of its own for them
        return False
    return bool(events)


def _timestamp(row: Row) -> float:
    started = row.record.started
    return started.timestamp() if started else 0.0


def _number_or_text(value: str) -> float | str:
    try:
        return float(value[:MAX_NUMBER])
    except ValueError:
        return value[:MAX_NUMBER]
