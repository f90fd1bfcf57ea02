"""Unfinished downloads, which a later request resumes where the earlier one stopped.

A file grows as ``<name>.part`` beside its destination and gets its name only once it is complete, so a file with its
final name can be trusted. ``<name>.part.json`` has the server's ETag or Last-Modified: a later run resumes the part
(HTTP Range with If-Range, RFC 9110 §13.1.5 and §14) only if the server still has the same file, otherwise it starts
over.
"""

from __future__ import annotations

import http.client
import re
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path

from instseg.core.atomic import sync_and_rename
from instseg.core.errors import InstsegError
from instseg.core.records import Record, RecordError, read_record, write_record
from instseg.data.fetch.http_requests import PermanentError, TransientError, read_chunk


class PartNotes(Record, frozen=True):
    """Origin of a part: the URL, the file's version on the server, and its size in bytes."""

    url: str
    validator: str | None = None
    total: int | None = None


class Part:
    """An unfinished file, and the size and version of the complete one."""

    def __init__(self, url: str, final_path: Path) -> None:
        """Find the part of an earlier attempt, if it belongs to the same URL.

        Args:
            url: of the file.
            final_path: its path once it is complete.
        """
        self.url, self.final_path = url, final_path
        self.path = final_path.with_name(final_path.name + ".part")
        self.notes_path = final_path.with_name(final_path.name + ".part.json")
        self.total: int | None = None
        self.validator: str | None = None
        final_path.parent.mkdir(parents=True, exist_ok=True)
        self._read_notes()

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def _read_notes(self) -> None:
        """Read the notes; a part without a validator for the same URL cannot be trusted and is dropped."""
        try:
            notes = read_record(self.notes_path, PartNotes, "the download starts over")
        except RecordError:  # there are none, or a crash truncated them
            self.drop()
            return
        if self.path.exists() and notes.url == self.url and notes.validator:
            self.total, self.validator = notes.total, notes.validator
        else:
            self.drop()

    def drop(self) -> None:
        """Delete the part and its notes."""
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)
        self.total = self.validator = None

    def is_complete(self) -> bool:
        """Tell whether all bytes are there."""
        return self.total is not None and self.size == self.total

    def request(self) -> urllib.request.Request:
        """Build the request for the rest of the file, or for all of it."""
        headers = {"User-Agent": "instseg", "Accept-Encoding": "identity"}
        if self.size and self.validator:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self.validator}
        elif self.size:
            self.drop()
        return urllib.request.Request(self.url, headers=headers)

    def begin(self, response: http.client.HTTPResponse) -> None:
        """Prepare the part for appending: keep it after status 206, empty it after 200 (no range, or a new file)."""
        if response.status == 206:
            self._check_continues(response)
        elif response.status != 200:
            raise PermanentError(f"status {response.status} {response.reason}, expected 200")
        else:
            self.path.write_bytes(b"")  # before the notes, which must never describe older bytes
            length = response.headers.get("Content-Length")
            self.total = int(length) if length is not None and length.isdecimal() else None
            self.validator = _validator(response.headers)
            write_record(self.notes_path, PartNotes(url=self.url, validator=self.validator, total=self.total))

    def _check_continues(self, response: http.client.HTTPResponse) -> None:
        """Check that the answer continues the part: servers that ignore If-Range may have another file."""
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        same_place = match is not None and int(match[1]) == self.size
        same_total = match is not None and (match[2] == "*" or int(match[2]) == self.total)
        same_file = _validator(response.headers) in (None, self.validator)
        if not (same_place and same_total and same_file):
            self.drop()
            raise TransientError(
                f"the file on the server changed while it was downloaded (Content-Range {content_range!r})"
            )

    def receive(
        self,
        response: http.client.HTTPResponse,
        timeout_seconds: float,
        on_chunk: Callable[[int, int, int | None], None],
    ) -> None:
        """Append the body of a response.

        Args:
            response: from ``open_url``.
            timeout_seconds: longest time without a byte.
            on_chunk: called before each chunk is written, with its bytes, the size including it, and the total size;
                nothing is written once it raises.

        Raises:
            TransientError: the body is incomplete.
        """
        with self.path.open("ab") as file:
            size = file.tell()
            while chunk := read_chunk(response, timeout_seconds):
                size += len(chunk)
                on_chunk(len(chunk), size, self.total)
                file.write(chunk)
                file.flush()  # the part then has all received bytes, however the process ends
        if self.total is not None and size < self.total:
            raise TransientError(f"truncated: got {size} of {self.total} bytes")

    def verify_and_rename(self, verify: Callable[[Path], None]) -> None:
        """Give the file its name; drop it if ``verify`` raises InstsegError.

        Raises:
            TransientError: the content is not the expected one.
        """
        try:
            verify(self.path)
        except InstsegError as error:
            self.drop()
            raise TransientError(f"received unexpected content: {error}") from error
        sync_and_rename(self.path, self.final_path)
        self.notes_path.unlink(missing_ok=True)


def _validator(headers: Message) -> str | None:
    """Return the value for If-Range: a strong ETag, else Last-Modified (RFC 9110 §13.1.5 forbids weak ETags)."""
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return str(etag)
    modified = headers.get("Last-Modified")
    return str(modified) if modified else None
