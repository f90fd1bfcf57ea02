"""Byte ranges of files on a web server (RFC 9110 §14), with the retries, threads and progress of ``download_files``."""

from __future__ import annotations

import io
import logging
import os
import re
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

from instseg.data.fetch.download import _Session
from instseg.data.fetch.http_requests import PermanentError, TransientError, open_url, read_chunk
from instseg.data.fetch.http_resume import Part
from instseg.data.fetch.jobs import Download, DownloadReport

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 17  # minimum request of ``RemoteFile``

Get = Callable[[int, int | None], tuple[bytes, int]]
"""(start, stop) -> those bytes of the job's file, and the file's size; (-n, None) means its last n bytes."""
Task = Callable[[Get, Part], None]
"""Work of a job, retried after a TransientError; ``Part`` is the scratch file beside its path."""


class Retries(TypedDict):
    """Retry options of ``download_files``."""

    num_retries: int
    timeout_seconds: float
    backoff_seconds: float


class RangeIgnoredError(TransientError):
    """The server sends the whole file, whatever range was requested."""


@dataclass(slots=True)
class _RangeSession(_Session):
    tasks: Mapping[Path, Task] = field(default_factory=dict)

    def _attempt(self, job: Download, part: Part) -> None:
        request = urllib.request.Request(job.url, headers={"User-Agent": "instseg", "Accept-Encoding": "identity"})
        received = partial(self._received, job)
        self.tasks[job.path](partial(_get_range, self.opener, request, self.timeout_seconds, received), part)


def run_tasks(
    tasks: Mapping[Download, Task], title: str, num_threads: int, **retries: Unpack[Retries]
) -> DownloadReport:
    """Run each job's task with the threads and retries of ``download_files``.

    Args:
        tasks: job -> its task; a job counts as downloaded once its task is done.
        title: for the progress bar and the log.
        num_threads: parallel tasks.
        retries: as for ``download_files``.
    """
    report = DownloadReport()
    if tasks:
        of_path = {job.path: task for job, task in tasks.items()}
        _RangeSession(deque(tasks), report, **retries, tasks=of_path).run(min(num_threads, len(tasks)), title)
        log.info("%s: %s", title, report.summary())
    return report


def _get_range(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    timeout_seconds: float,
    received: Callable[[int, int, int | None], None],
    start: int,
    stop: int | None,
) -> tuple[bytes, int]:
    wanted = f"bytes={start}" if stop is None else f"bytes={start}-{stop - 1}"
    request.add_header("Range", wanted)
    with open_url(opener, request, timeout_seconds) as response:
        if response.status == 200:
            raise RangeIgnoredError("the server sent the whole file instead of a range")
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
        if response.status != 206 or match is None:
            raise PermanentError(f"status {response.status} with Content-Range {content_range!r} to {wanted!r}")
        first, last, size = map(int, match.groups())
        if (first, last) != (start if start >= 0 else max(0, size + start), min(stop or size, size) - 1):
            raise TransientError(f"asked for {wanted!r}, got {content_range!r}")
        content = bytearray()
        while chunk := read_chunk(response, timeout_seconds):
            content += chunk
            received(len(chunk), len(content), last + 1 - first)
    if len(content) != last + 1 - first:
        raise TransientError(f"truncated: got {len(content)} of {last + 1 - first} bytes")
    return bytes(content), size


class RemoteFile(io.RawIOBase):
    """A seekable file on a server; the last block is cached, so that small reads nearby need no request."""

    def __init__(self, get: Get) -> None:
        """Open the file and read its last block."""
        super().__init__()
        self._get = get
        self._block, self.size = get(-BLOCK_BYTES, None)
        self._block_start = self.size - len(self._block)
        self._position = 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position.

        Args:
            offset: in bytes.
            whence: its origin: os.SEEK_SET, os.SEEK_CUR or os.SEEK_END.
        """
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def read(self, num_bytes: int = -1) -> bytes:
        """Read this many bytes, fewer at the end; -1: all."""
        start = self._position
        stop = self.size if num_bytes < 0 else min(start + num_bytes, self.size)
        if stop <= start:
            return b""
        if not self._block_start <= start < stop <= self._block_start + len(self._block):
            self._block, _ = self._get(start, min(max(stop, start + BLOCK_BYTES), self.size))
            self._block_start = start
        self._position = stop
        return self._block[start - self._block_start : stop - self._block_start]
