"""Jobs through a launcher, whatever happens to their processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from instseg.atomic import lock_if_free
from instseg.errors import InstsegError
from instseg.sweeps.failures import CRASHED
from instseg.sweeps.records import FAILED, FINISHED, Job, SweepFolder

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""A job whose process has died so often is given up."""
POLL_SECONDS = 2.0


def run_all(jobs: Sequence[Job], launch: Callable[[Sequence[Job]], None], folder: SweepFolder) -> None:
    """Launch jobs until each of them is finished; afterwards each record says how.

    A launcher raises when a process of its is killed, and then says nothing of the others: those that live are waited
    for, those that have not ended in order are started again, one by one, up to MAX_ATTEMPTS times. Raises what the
    launcher raised when it cannot start any job at all.
    """
    open_jobs, error = list(jobs), _try_to(launch, jobs)
    while True:
        _wait_for_the_living(open_jobs, folder)
        open_jobs = [job for job in open_jobs if not _is_over(job, folder, error)]
        if not open_jobs:
            return
        before = folder.read(open_jobs[0].number)
        error = _try_to(launch, open_jobs[:1])
        if folder.read(open_jobs[0].number) == before:
            raise error or InstsegError(f"the launcher does not start job {open_jobs[0].number}")


def _try_to(launch: Callable[[Sequence[Job]], None], jobs: Sequence[Job]) -> Exception | None:
    try:
        launch(jobs)
    except Exception as error:
        log.warning("the launcher stopped: %s: %s", type(error).__name__, error)
        return error
    return None


def _is_over(job: Job, folder: SweepFolder, error: Exception | None) -> bool:
    record = folder.read(job.number)
    assert record is not None
    if record.state not in FINISHED and record.attempts >= MAX_ATTEMPTS:
        why = f"its process died {record.attempts} times, killed or out of memory" + (f" ({error})" if error else "")
        folder.write(record, state=FAILED, kind=CRASHED, reason=why)
        return True
    return record.state in FINISHED


def _wait_for_the_living(jobs: Sequence[Job], folder: SweepFolder) -> None:
    for job in jobs:
        while not _is_free(job, folder):
            time.sleep(POLL_SECONDS)


def _is_free(job: Job, folder: SweepFolder) -> bool:
    with lock_if_free(folder.lock_file(job.number)) as is_free:
        return is_free
