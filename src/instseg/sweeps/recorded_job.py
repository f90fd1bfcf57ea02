"""A training that never ends a sweep: what becomes of it is written down where the sweep will look."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from instseg.core.atomic import lock_if_free, write_text_atomically
from instseg.sweeps.failures import ProcessDiedError, Pruned, full_text, is_disk_full, kind_of, reason_of
from instseg.sweeps.records import (
    DONE,
    FAILED,
    FINISHED,
    INTERRUPTED,
    PRUNED,
    RUNNING,
    JobRecord,
    SweepFolder,
)

log = logging.getLogger(__name__)


class RecordedJob:
    """Called as the training function in the process of each job, which a launcher may have started elsewhere.

    Args:
        task: the training function: config -> the monitored metric, or None.
        folder: of the sweep.
        number_now: tells which job this process runs.
    """

    def __init__(self, task: Callable[[Any], float | None], folder: Path, number_now: Callable[[Any], int]) -> None:
        self.task, self.folder, self.number_now = task, folder, number_now

    def __call__(self, config: Any) -> float | None:
        """Run the job unless it has been run.

        Only what stops the whole sweep leaves here as an exception: an interruption, and the error of a full disk. The
        job goes on when the sweep does.
        """
        sweep = SweepFolder(self.folder)
        number = self.number_now(config)
        with lock_if_free(sweep.lock_file(number)) as is_free:
            record = sweep.read(number)
            assert record is not None, f"{self.folder}: job {number} was not announced"
            if not is_free or record.state in FINISHED:  # a launcher may start a job twice
                return record.metric
            ended = self._run(config, sweep, record)
        free_memory()
        return ended.metric

    def _run(self, config: Any, sweep: SweepFolder, record: JobRecord) -> JobRecord:
        record = sweep.write(
            record,
            state=RUNNING,
            run_dir=str(config.run_dir),
            started=record.started or datetime.now(UTC).isoformat(timespec="seconds"),
            attempts=record.attempts + 1,
        )
        begun = time.monotonic()
        changes: Mapping[str, Any] = {"state": INTERRUPTED, "attempts": 0}
        try:
            changes = self._outcome(config, sweep.traceback_file(record.number))
        finally:  # also when the process is told to end, whatever that is called here
            seconds = round(record.seconds + time.monotonic() - begun, 1)
            record = sweep.write(record, **changes, seconds=seconds)
        return record

    def _outcome(self, config: Any, traceback_file: Path) -> dict[str, Any]:
        try:
            return {"state": DONE, "metric": self.task(config), "reason": None, "kind": None}
        except Pruned as pruned:
            return {"state": PRUNED, "metric": pruned.value, "reason": str(pruned)}
        except ProcessDiedError as died:  # an attempt that has not ended in order, and counts as one
            log.warning("%s", died)
            return {"state": INTERRUPTED}
        except Exception as error:
            if is_disk_full(error):
                raise
            write_text_atomically(traceback_file, full_text(error))
            return {"state": FAILED, "kind": kind_of(error), "reason": reason_of(error)}


def free_memory() -> None:
    """What a failed job still holds must not make the next one fail."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
