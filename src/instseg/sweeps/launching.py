"""Jobs run through a launcher, whatever happens to their processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from instseg.core.errors import InstsegError
from instseg.core.locks import lock_if_free
from instseg.core.text import plural
from instseg.sweeps.failures import CRASHED, is_disk_full
from instseg.sweeps.records import FAILED, FINISHED, Job, JobRecord, Outcome
from instseg.sweeps.sweep_folder import SweepFolder

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""A job is given up after its process died this many times."""
POLL_SECONDS = 2.0


def run_all(jobs: Sequence[Job], launch: Callable[[Sequence[Job]], None], folder: SweepFolder) -> None:
    """Launch jobs until each of them is finished; afterwards their records say how.

    A launcher raises when one of its processes is killed, and then says nothing of the others: those that live are
    waited for, those that were never begun are started again together, and those whose processes died one by one, up
    to MAX_ATTEMPTS times. Deaths of an earlier start count, because the sweep itself may have died with the job.

    Args:
        jobs: to be run, each with a record in the folder.
        launch: starts jobs and waits for them.
        folder: of the sweep.

    Raises:
        Exception: the launcher's own, when it cannot start any job at all; the error of a full disk, which would meet
            every other job too.
    """
    error: Exception | None = None
    is_idle = False
    batch = open_jobs = [job for job in jobs if not _is_over(job, folder, error)]
    while open_jobs:
        before, was_idle = _records(batch, folder), is_idle
        error = _try_to(launch, batch)
        _wait_for_the_living(open_jobs, folder)
        is_idle = _records(batch, folder) == before
        if is_idle and was_idle:
            raise error or InstsegError(f"the launcher does not start job {batch[0].number}")
        open_jobs = [job for job in open_jobs if not _is_over(job, folder, error)]
        fresh = [job for job, record in zip(open_jobs, _records(open_jobs, folder), strict=True) if not record.attempts]
        batch = fresh if fresh and not is_idle else open_jobs[:1]


def _records(jobs: Sequence[Job], folder: SweepFolder) -> list[JobRecord]:
    return [folder.read(job.number) for job in jobs]


def _try_to(launch: Callable[[Sequence[Job]], None], jobs: Sequence[Job]) -> Exception | None:
    try:
        launch(jobs)
    except Exception as error:
        if is_disk_full(error):
            raise
        log.warning("the launcher stopped: %s: %s", type(error).__name__, error)
        return error
    return None


def _is_over(job: Job, folder: SweepFolder, error: Exception | None) -> bool:
    record = folder.read(job.number)
    if record.state not in FINISHED and record.attempts >= MAX_ATTEMPTS and _is_free(job, folder):
        why = f"its process died {plural(record.attempts, 'time')}, killed or out of memory" + (
            f" ({error})" if error else ""
        )
        folder.write(record.ended(Outcome(FAILED, kind=CRASHED, reason=why)))
        return True
    return record.state in FINISHED


def _wait_for_the_living(jobs: Sequence[Job], folder: SweepFolder) -> None:
    for job in jobs:
        while not _is_free(job, folder):
            time.sleep(POLL_SECONDS)


def _is_free(job: Job, folder: SweepFolder) -> bool:
    with lock_if_free(folder.lock_file(job.number)) as is_free:
        return is_free
