"""Words for the end of a job, and of a sweep, on the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.runs.folders import resume_command
from instseg.sweeps.records import DONE, FAILED, FINISHED, JobRecord
from instseg.sweeps.strategy import Strategy
from instseg.sweeps.sweep_folder import SweepFolder

log = logging.getLogger(__name__)


def tell_end(record: JobRecord, metric: str) -> None:
    """Log how a job ended.

    Args:
        record: of the job.
        metric: name of the monitored metric.
    """
    value = "" if record.metric is None else f", {metric} {record.metric:.4g}"
    log.info("job %d %s%s: %s", record.number, record.state, value, record.reason or _shown(record.values))


def explain_interruption(folder: SweepFolder) -> None:
    """Print how far an interrupted sweep came, and the command that resumes it."""
    done = sum(record.state in FINISHED for record in folder.records())
    print(f"\nInterrupted after {plural(done, 'finished job')}; all that was written stays.", file=sys.stderr)
    print(f"Resume with:  {resume_command(folder.path)}", file=sys.stderr)


def in_words(error: Exception, folder: SweepFolder) -> InstsegError:
    """Return an error that says what to do about a full disk.

    Args:
        error: of the full disk; no job has failed because of it.
        folder: of the sweep.
    """
    what = str(error).partition(". ")[0]
    return InstsegError(
        f"the sweep stops, because the disk is full: {what}. Make room, then resume with:  "
        f"{resume_command(folder.path)}"
    )


def ended(folder: SweepFolder, strategy: Strategy) -> list[JobRecord]:
    """Show the leaderboard of a sweep that has run all of its jobs, and return their records.

    Args:
        folder: of the sweep.
        strategy: that chose its jobs.

    Raises:
        InstsegError: some jobs failed.
    """
    from instseg.sweeps.leaderboard import show_leaderboard  # matplotlib: not before it is needed

    show_leaderboard(folder, strategy)
    records = folder.records()
    failed = [record for record in records if record.state == FAILED]
    if failed:
        done = sum(record.state == DONE for record in records)
        raise InstsegError(
            f"{len(failed)} of {plural(len(records), 'job')} failed ({done} done), the first, number "
            f"{failed[0].number}: {failed[0].reason}\nTheir records and tracebacks are in {folder.path / 'jobs'}. "
            f"Once that is removed, run them again with:  "
            f"{resume_command(folder.path)} retry_failed=true"
        )
    return records


def _shown(values: Mapping[str, str]) -> str:
    from instseg.sweeps.ranking import short  # scipy: not before it is needed

    return ", ".join(f"{key}={short(value)}" for key, value in values.items())
