"""Fetch many files over HTTP: in parallel, resumable, verified, retried, each written atomically.

A file takes its name only once it is whole; ``http_resume`` continues an unfinished one. Proxies are taken from
the environment (``http_proxy``, ``no_proxy``, …).
"""

from __future__ import annotations

import logging
import random
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.data.fetch.http_requests import PassingError, PermanentError, RangeRefusedError, open_url
from instseg.data.fetch.http_resume import Part
from instseg.data.fetch.jobs import Download, DownloadFailure, DownloadReport
from instseg.data.fetch.progress import show_progress

POLL_SECONDS = 0.1  # how often the bar moves
STOP_SECONDS = 0.5  # how long to wait for threads when called off; those stuck on a socket are left behind
MAX_WAIT_SECONDS = 60.0  # longest pause between two attempts, whatever Retry-After asks for
PROGRESS_BYTES = 1 << 20  # an attempt that brought this much new data starts the count of retries afresh

logger = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The whole download was called off."""


def download_files(
    jobs: Sequence[Download],
    *,
    title: str = "Downloading",
    num_threads: int = 16,
    num_retries: int = 5,
    timeout_seconds: float = 30.0,
    backoff_seconds: float = 1.0,
) -> DownloadReport:
    """Fetch every job that is not there yet (of the known size, if one is known) and report; the caller decides.

    Tried again after ``backoff_seconds`` x 2^attempt (with jitter): no byte for ``timeout_seconds``, a body cut
    short, a reset connection, status 408, 425, 429 and 5xx (Retry-After is respected), content that fails its
    checks. Not tried again: any other status, such as 403, 404 and 410. When twice as many files in a row as there are
    threads (at least 8) used up their retries, the network is taken to be down and the rest is reported untried.

    Raises InstsegError when something cannot be written here (disk full, no permission). KeyboardInterrupt passes
    through at once; the parts stay and the next call continues them.
    """
    _check_jobs(jobs)
    report = DownloadReport(skipped=[job.path for job in jobs if _is_there(job)])
    there = set(report.skipped)
    pending = deque(job for job in jobs if job.path not in there)
    if pending:
        session = _Session(pending, report, num_retries, timeout_seconds, backoff_seconds)
        session.run(min(num_threads, len(pending)), title)
        logger.info("%s: %s", title, report.summary())
    return report


def _check_jobs(jobs: Sequence[Download]) -> None:
    doubled = [str(path) for path, count in Counter(job.path for job in jobs).items() if count > 1]
    if doubled:
        raise InstsegError(f"downloads: each must have a path of its own, found more than once: {', '.join(doubled)}")
    for job in jobs:
        if not job.url.startswith(("http://", "https://")):
            raise InstsegError(f"downloads: expected a URL that starts with http:// or https://, got {job.url!r}")


def _is_there(job: Download) -> bool:
    return job.path.is_file() and job.size_bytes in (None, job.path.stat().st_size)


@dataclass(slots=True)
class _Session:
    """One call of ``download_files``: the pending jobs, the threads that take them, and what the bar is told."""

    pending: deque[Download]
    report: DownloadReport
    num_retries: int
    timeout_seconds: float
    backoff_seconds: float
    opener: urllib.request.OpenerDirector = field(default_factory=urllib.request.build_opener)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    fractions: dict[Path, float] = field(default_factory=dict)  # of the files under way, how much is there: 0..1
    num_exhausted_in_a_row: int = 0
    give_up_after: int = 0
    error: BaseException | None = None

    def run(self, num_threads: int, title: str) -> None:
        """Blocks until every job is settled. Threads are daemons: one stuck on a socket must not hold up Ctrl-C."""
        self.give_up_after = max(8, 2 * num_threads)
        started, num_jobs = time.monotonic(), len(self.pending)
        threads = [threading.Thread(target=self._work, name=f"download-{i}", daemon=True) for i in range(num_threads)]
        for thread in threads:
            thread.start()
        try:
            with show_progress(title, num_jobs) as show:
                for thread in threads:
                    while thread.is_alive():
                        thread.join(POLL_SECONDS)
                        show(*self._state())
                show(*self._state())
        finally:
            self.stop.set()
            deadline = time.monotonic() + STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            self.report.seconds = time.monotonic() - started
        if self.error is not None:
            raise self.error

    def _state(self) -> tuple[int, float, int]:
        with self.lock:
            num_done = len(self.report.downloaded) + len(self.report.failures)
            return num_done, sum(self.fractions.values()), self.report.num_bytes

    def _received(self, job: Download, num_bytes: int, size: int, total: int | None) -> None:
        if self.stop.is_set():
            raise _StoppedError
        with self.lock:
            self.report.num_bytes += num_bytes
            self.fractions[job.path] = min(size / total, 1.0) if total else 0.0

    def _work(self) -> None:
        while not self.stop.is_set():
            try:
                job = self.pending.popleft()
            except IndexError:  # nothing left
                return
            try:
                self._finish(job, self._outcome(job))
            except _StoppedError:
                return
            except BaseException as error:  # handed to the main thread, which raises it
                self.error = self.error or error
                self.stop.set()

    def _finish(self, job: Download, reason: str | None) -> None:
        with self.lock:
            self.fractions.pop(job.path, None)
            if reason is None:
                self.report.downloaded.append(job.path)
            else:
                self.report.failures.append(DownloadFailure(job.url, job.path, reason))

    def _outcome(self, job: Download) -> str | None:
        """None once the file is there, else why it is not."""
        if self.num_exhausted_in_a_row >= self.give_up_after:
            return f"not tried: {self.num_exhausted_in_a_row} downloads in a row had failed after all their retries"
        try:
            reason = self._try_repeatedly(job)
        except PermanentError as failure:
            return str(failure)
        except OSError as error:  # the network's own errors were turned into PassingError where they arose
            raise InstsegError(f"{job.path}: cannot be written: {error}") from error
        with self.lock:
            self.num_exhausted_in_a_row = 0 if reason is None else self.num_exhausted_in_a_row + 1
        return reason

    def _try_repeatedly(self, job: Download) -> str | None:
        part = Part(job.url, job.path)
        num_failed, most_bytes = 0, part.size
        while True:
            try:
                self._attempt(job, part)
                return None
            except PassingError as failure:
                if isinstance(failure, RangeRefusedError):
                    part.drop()
                if part.size >= most_bytes + PROGRESS_BYTES:
                    num_failed, most_bytes = 0, part.size
                num_failed += 1
                if num_failed > self.num_retries:
                    return f"{failure} (tried {num_failed} times)"
                logger.info("%s: %s; trying again", job.url, failure)
                self._pause(num_failed, failure.wait_seconds)

    def _pause(self, num_failed: int, wait_seconds: float) -> None:
        backoff = self.backoff_seconds * 2.0 ** (num_failed - 1) * random.uniform(0.5, 1.5)
        if self.stop.wait(min(max(backoff, wait_seconds), MAX_WAIT_SECONDS)):
            raise _StoppedError

    def _attempt(self, job: Download, part: Part) -> None:
        if not part.is_complete():
            with open_url(self.opener, part.request(), self.timeout_seconds) as response:
                part.begin(response)
                part.receive(response, self.timeout_seconds, partial(self._received, job))
        part.verify_and_rename(job.verify)
