"""The unfinished file of a download, which a later request continues where the earlier one broke off.

A file grows as ``<name>.part`` beside its destination and takes its name only once it is whole, so whatever
carries its final name can be trusted. ``<name>.part.json`` holds the server's ETag or Last-Modified: a later run
continues the part (HTTP Range with If-Range, RFC 9110 §13.1.5 and §14) only while the server still has the same
file, otherwise it starts anew.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

from instseg.core.atomic import sync_and_rename
from instseg.core.errors import InstsegError
from instseg.data.fetch.http_requests import PassingError, PermanentError, read_chunk


class Part:
    """The unfinished file and what is known about the whole one."""

    def __init__(self, url: str, final_path: Path) -> None:
        self.url, self.final_path = url, final_path
        self.path = final_path.with_name(final_path.name + ".part")
        self.notes_path = final_path.with_name(final_path.name + ".part.json")
        self.total: int | None = None
        self.validator: str | None = None
        final_path.parent.mkdir(parents=True, exist_ok=True)
        self._read_notes()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _read_notes(self) -> None:
        """Without a validator for the same URL nobody can tell whether the part still fits: it is dropped."""
        notes: dict[str, Any] = {}
        if self.path.exists() and self.notes_path.exists():
            with contextlib.suppress(ValueError):  # notes cut off by a crash
                notes = json.loads(self.notes_path.read_text(encoding="utf-8"))
        if notes.get("url") == self.url and notes.get("validator"):
            self.total, self.validator = notes["total"], notes["validator"]
        else:
            self.drop()

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)
        self.total = self.validator = None

    def is_complete(self) -> bool:
        return self.total is not None and self.size == self.total

    def request(self) -> urllib.request.Request:
        headers = {"User-Agent": "instseg", "Accept-Encoding": "identity"}
        if self.size and self.validator:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self.validator}
        elif self.size:
            self.drop()
        return urllib.request.Request(self.url, headers=headers)

    def begin(self, response: http.client.HTTPResponse) -> None:
        """Make the part ready to be appended to: kept after 206, emptied after 200 (range ignored, file changed)."""
        if response.status == 206:
            self._check_continues(response)
        elif response.status != 200:
            raise PermanentError(f"status {response.status} {response.reason}, expected 200")
        else:
            self.path.write_bytes(b"")  # before the notes, which must never describe older bytes
            length = response.headers.get("Content-Length")
            self.total = int(length) if length is not None and length.isdecimal() else None
            self.validator = _validator(response.headers)
            notes = {"url": self.url, "validator": self.validator, "total": self.total}
            self.notes_path.write_text(json.dumps(notes), encoding="utf-8")

    def _check_continues(self, response: http.client.HTTPResponse) -> None:
        """Some servers ignore If-Range; then the answer itself shows whether the file is another one."""
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        same_place = match is not None and int(match[1]) == self.size
        same_total = match is not None and (match[2] == "*" or int(match[2]) == self.total)
        same_file = _validator(response.headers) in (None, self.validator)
        if not (same_place and same_total and same_file):
            self.drop()
            raise PassingError(
                f"the file on the server changed while it was downloaded (Content-Range {content_range!r})"
            )

    def receive(
        self,
        response: http.client.HTTPResponse,
        timeout_seconds: float,
        on_chunk: Callable[[int, int, int | None], None],
    ) -> None:
        """Append what arrives. ``on_chunk`` is told the chunk's bytes, the size with it, and the size of the whole.

        It is called before the chunk is written, so that nothing is written any more once it raises.
        """
        with self.path.open("ab") as file:
            size = file.tell()
            while chunk := read_chunk(response, timeout_seconds):
                size += len(chunk)
                on_chunk(len(chunk), size, self.total)
                file.write(chunk)
                file.flush()  # so that the part holds all that came, however the process ends
        if self.total is not None and size < self.total:
            raise PassingError(f"cut short: got {size} of {self.total} bytes")

    def verify_and_rename(self, verify: Callable[[Path], None]) -> None:
        """``verify`` raises InstsegError if the content is not what was wanted; then the part is of no use."""
        try:
            verify(self.path)
        except InstsegError as error:
            self.drop()
            raise PassingError(f"received, but not what was expected: {error}") from error
        sync_and_rename(self.path, self.final_path)
        self.notes_path.unlink(missing_ok=True)


def _validator(headers: Message) -> str | None:
    """What If-Range may carry: a strong ETag, else Last-Modified (RFC 9110 §13.1.5 forbids weak ETags)."""
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return str(etag)
    modified = headers.get("Last-Modified")
    return str(modified) if modified else None
