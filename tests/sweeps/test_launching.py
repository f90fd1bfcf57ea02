"""Jobs whose processes die are started again, a few times, and never together with one that still lives."""

import errno

import pytest
from msgspec.structs import replace
from sweeping import states

from instseg.core.errors import InstsegError
from instseg.core.locks import lock_if_free
from instseg.sweeps import launching
from instseg.sweeps.launching import MAX_ATTEMPTS, run_all
from instseg.sweeps.records import DONE, RUNNING, Job, JobRecord
from instseg.sweeps.sweep_folder import SweepFolder

JOBS = [Job(number, {"lr": str(number)}, (f"lr={number}",)) for number in range(3)]


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path)
    for job in JOBS:
        folder.write(JobRecord.of(job))
    return folder


def started(folder, job):
    record = folder.read(job.number)
    return folder.write(replace(record, state=RUNNING, attempts=record.attempts + 1))


def test_after_a_process_was_killed_only_those_that_it_may_have_been_run_alone(folder):
    """Workers of joblib die together, and which of them was the reason nobody says; the others know nothing of it."""
    launched = []

    def launch(jobs):
        launched.append([job.number for job in jobs])
        for job in jobs:
            record = started(folder, job)
            if job.number == 0 and record.attempts == 1:
                raise RuntimeError("a worker was killed")
            folder.write(replace(record, state=DONE))

    run_all(JOBS, launch, folder)
    assert launched == [[0, 1, 2], [1, 2], [0]]
    assert states(folder) == ["done"] * 3


def test_a_job_whose_process_always_dies_is_given_up_and_says_so(folder):
    def launch(jobs):
        for job in jobs:
            record = started(folder, job)
            if job.number == 1:
                raise RuntimeError("a worker was killed")
            folder.write(replace(record, state=DONE))

    run_all(JOBS, launch, folder)
    assert states(folder) == ["done", "failed", "done"]
    assert (
        folder.read(1).reason == f"its process died {MAX_ATTEMPTS} times, killed or out of memory (a worker was killed)"
    )


def test_a_job_that_has_always_taken_the_sweep_with_it_is_given_up_before_it_does_so_again(folder):
    """Without a launcher a job is run by the sweep's own process: only the records know of its deaths."""
    launched = []
    for _ in range(MAX_ATTEMPTS):
        started(folder, JOBS[0])

    def launch(jobs):
        launched.append([job.number for job in jobs])
        for job in jobs:
            folder.write(replace(started(folder, job), state=DONE))

    run_all(JOBS, launch, folder)
    assert launched == [[1, 2]]
    assert folder.read(0).state == "failed"
    assert folder.read(0).reason == f"its process died {MAX_ATTEMPTS} times, killed or out of memory"


def test_a_job_that_lives_in_its_last_attempt_is_not_given_up(folder, monkeypatch):
    for _ in range(MAX_ATTEMPTS):
        started(folder, JOBS[0])
    lock = lock_if_free(folder.lock_file(0))
    assert lock.__enter__()

    def time_passes(_seconds):
        folder.write(replace(folder.read(0), state=DONE))
        lock.__exit__(None, None, None)

    monkeypatch.setattr(launching.time, "sleep", time_passes)
    run_all(JOBS[:1], lambda jobs: None, folder)
    assert states(folder)[0] == "done"


def test_a_full_disk_is_no_failure_of_the_launcher(folder):
    launched = []

    def launch(jobs):
        launched.append([job.number for job in jobs])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_all(JOBS, launch, folder)
    assert launched == [[0, 1, 2]]


def test_a_launcher_that_starts_nothing_ends_the_sweep_with_its_own_error(folder):
    def launch(jobs):
        raise RuntimeError("no queue of this name")

    with pytest.raises(RuntimeError, match="no queue of this name"):
        run_all(JOBS, launch, folder)
    with pytest.raises(InstsegError, match="does not start job 0"):
        run_all(JOBS, lambda jobs: None, folder)


def test_a_job_that_lives_on_after_the_launcher_has_stopped_is_waited_for(folder, monkeypatch):
    """As on a cluster, where the launcher raises for one job while others still train."""
    job, launched = JOBS[0], []
    lock = lock_if_free(folder.lock_file(0))

    def launch(jobs):
        launched.append([job.number for job in jobs])
        started(folder, job)
        assert lock.__enter__()
        raise RuntimeError("another job has failed")

    def time_passes(_seconds):
        folder.write(replace(folder.read(0), state=DONE))
        lock.__exit__(None, None, None)

    monkeypatch.setattr(launching.time, "sleep", time_passes)
    run_all([job], launch, folder)
    assert launched == [[0]]
    assert states(folder)[0] == "done"
