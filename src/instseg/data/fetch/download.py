"""Parallel downloads over HTTP: resumable, verified, retried, each file written atomically.

A file gets its name only once it is complete; ``http_resume`` resumes an unfinished one. Proxies are taken from the
environment (``http_proxy``, ``no_proxy``, …).
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

from instseg.core.disk_reasons import reason_of
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.data.fetch.http_requests import PermanentError, RangeRefusedError, TooLargeError, TransientError, open_url
from instseg.data.fetch.http_resume import Part
from instseg.data.fetch.jobs import Download, DownloadFailure, DownloadReport
from instseg.data.fetch.progress import show_progress

POLL_SECONDS = 0.1  # update interval of the progress bar
STOP_SECONDS = 0.5  # wait for threads when stopped; those stuck on a socket are abandoned
MAX_WAIT_SECONDS = 60.0  # longest pause between two attempts, whatever Retry-After says
PROGRESS_BYTES = 1 << 20  # an attempt that received this much new data resets the count of retries

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The whole download was stopped."""


def download_files(
    jobs: Sequence[Download],
    *,
    title: str = "Downloading",
    num_threads: int = 16,
    num_retries: int = 5,
    timeout_seconds: float = 30.0,
    backoff_seconds: float = 1.0,
) -> DownloadReport:
    """Download the files that do not exist yet with the expected size; failures are reported, not raised.

    Retried: no byte for ``timeout_seconds``, a truncated body, a reset connection, status 408, 425, 429 and 5xx
    (Retry-After is respected), content that fails its checks. Not retried: any other status, such as 403, 404 and 410.
    When twice as many files in a row as there are threads (at least 8) use up their retries, the network is considered
    down and the rest is reported as not tried. Ctrl-C is not delayed; the next call resumes unfinished files.

    Args:
        jobs: the files, each with a path of its own.
        title: for the progress bar and the log.
        num_threads: parallel downloads.
        num_retries: attempts after the first.
        timeout_seconds: longest time without a byte.
        backoff_seconds: pause before a retry, doubled with each, with jitter.

    Raises:
        InstsegError: a URL is not http(s), two jobs have one path, or a file cannot be written (disk full, no
            permission).
    """
    _check_jobs(jobs)
    report = DownloadReport(skipped=[job.path for job in jobs if _is_there(job)])
    there = set(report.skipped)
    pending = deque(job for job in jobs if job.path not in there)
    if pending:
        session = _Session(pending, report, num_retries, timeout_seconds, backoff_seconds)
        session.run(min(num_threads, len(pending)), title)
        log.info("%s: %s", title, report.summary())
    return report


def _check_jobs(jobs: Sequence[Download]) -> None:
    doubled = [str(path) for path, count in Counter(job.path for job in jobs).items() if count > 1]
    if doubled:
        raise InstsegError(f"downloads: each must have a path of its own, found more than once: {', '.join(doubled)}")
    for job in jobs:
        if not job.url.startswith(("http://", "https://")):
            raise InstsegError(f"downloads: expected a URL that starts with http:// or https://, got {job.url!r}")


def _is_there(job: Download) -> bool:
    """Tell whether the file is there with the expected size; an empty one, as a power cut leaves, is not."""
    size_bytes = job.path.stat().st_size if job.path.is_file() else 0
    return size_bytes > 0 if job.size_bytes is None else size_bytes == job.size_bytes and job.path.is_file()


@dataclass(slots=True)
class _Session:
    """One call of ``download_files``: the pending jobs, the threads that process them, and the progress."""

    pending: deque[Download]
    report: DownloadReport
    num_retries: int
    timeout_seconds: float
    backoff_seconds: float
    opener: urllib.request.OpenerDirector = field(default_factory=urllib.request.build_opener)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    fractions: dict[Path, float] = field(default_factory=dict)  # received fraction of each file in progress, 0..1
    num_exhausted_in_a_row: int = 0
    give_up_after: int = 0
    error: BaseException | None = None

    def run(self, num_threads: int, title: str) -> None:
        """Block until every job is done. Threads are daemons: one stuck on a socket must not delay Ctrl-C.

        Args:
            num_threads: parallel downloads.
            title: for the progress bar.
        """
        self.give_up_after = max(8, 2 * num_threads)
        started, num_jobs = time.monotonic(), len(self.pending)
        threads = [threading.Thread(target=self._work, name=f"download-{i}", daemon=True) for i in range(num_threads)]
        for thread in threads:
            thread.start()
        try:
            self._show_until_done(threads, title, num_jobs)
        finally:
            self._stop(threads)
            self.report.seconds = time.monotonic() - started
        if self.error is not None:
            raise self.error

    def _show_until_done(self, threads: Sequence[threading.Thread], title: str, num_jobs: int) -> None:
        with show_progress(title, num_jobs) as show:
            for thread in threads:
                while thread.is_alive():
                    thread.join(POLL_SECONDS)
                    show(*self._state())
            show(*self._state())

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        self.stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _state(self) -> tuple[int, float, int]:
        with self.lock:
            num_done = len(self.report.downloaded) + len(self.report.failures)
            return num_done, sum(self.fractions.values()), self.report.num_bytes

    def _received(self, job: Download, num_bytes: int, size: int, total: int | None) -> None:
        if self.stop.is_set():
            raise _StoppedError
        if job.max_bytes is not None and max(size, total or 0) > job.max_bytes:
            raise TooLargeError(f"expected at most {job.max_bytes / 1e6:.3g} MB, found {_size_found(size, total)}")
        with self.lock:
            self.report.num_bytes += num_bytes
            self.fractions[job.path] = min(size / total, 1.0) if total else 0.0

    def _work(self) -> None:
        while not self.stop.is_set():
            try:
                job = self.pending.popleft()
            except IndexError:  # no jobs left
                return
            try:
                self._finish(job, self._outcome(job))
            except _StoppedError:
                return
            except BaseException as error:  # raised by the main thread
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
        """Download one file; return None, or the reason why it failed."""
        if self.num_exhausted_in_a_row >= self.give_up_after:
            return f"not tried: {self.num_exhausted_in_a_row} downloads in a row had failed after all their retries"
        try:
            reason = self._try_repeatedly(job)
        except PermanentError as failure:
            return str(failure)
        except OSError as error:  # network errors were converted to TransientError where they arose
            raise InstsegError(f"{job.path}: {reason_of(error, job.path.parent)}") from error
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
            except TransientError as failure:
                if isinstance(failure, RangeRefusedError):
                    part.drop()
                if part.size >= most_bytes + PROGRESS_BYTES:
                    num_failed, most_bytes = 0, part.size
                num_failed += 1
                if num_failed > self.num_retries:
                    return f"{failure} (tried {plural(num_failed, 'time')})"
                log.info("%s: %s; trying again", job.url, failure)
                self._pause(num_failed, failure.wait_seconds)

    def _pause(self, num_failed: int, wait_seconds: float) -> None:
        backoff = self.backoff_seconds * 2.0 ** (num_failed - 1) * random.uniform(0.5, 1.5)
        if self.stop.wait(min(max(backoff, wait_seconds), MAX_WAIT_SECONDS)):
            raise _StoppedError

    def _attempt(self, job: Download, part: Part) -> None:
        if not part.is_complete():
            with open_url(self.opener, part.request(), self.timeout_seconds) as response:
                part.begin(response)
                try:
                    part.receive(response, self.timeout_seconds, partial(self._received, job))
                except TooLargeError:
                    part.drop()
                    raise
        part.verify_and_rename(job.verify)


def _size_found(size: int, total: int | None) -> str:
    return f"more than {size / 1e6:.3g}" if total is None else f"{total / 1e6:.3g}"
