"""What a download is asked for, how that is told from anything else, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from instseg.core.errors import InstsegError


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch. What is known about it (size, digest) is checked before it takes its name ``path``.

    ``validate`` is given the whole file under its temporary name and raises InstsegError if that is not what was
    wanted. Without Content-Length from the server and without any of these, a cut-off body cannot be noticed.
    """

    url: str
    path: Path
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    validate: Callable[[Path], None] | None = None

    def verify(self, path: Path) -> None:
        """Raises InstsegError unless the content of ``path`` is what is known about this file."""
        size_bytes = path.stat().st_size
        if self.size_bytes not in (None, size_bytes):
            raise InstsegError(f"expected {self.size_bytes} bytes, got {size_bytes}")
        for algorithm, expected in (("sha256", self.sha256), ("md5", self.md5)):
            if expected is not None:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, algorithm).hexdigest()
                if digest != expected.lower():
                    raise InstsegError(f"expected {algorithm} {expected.lower()}, got {digest}")
        if self.validate is not None:
            self.validate(path)


@dataclass(frozen=True, slots=True)
class DownloadFailure:
    """A file that could not be had, and why."""

    url: str
    path: Path
    reason: str


@dataclass(slots=True)
class DownloadReport:
    """What became of each file; the three lists together hold every job once."""

    downloaded: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)  # were there already
    failures: list[DownloadFailure] = field(default_factory=list)
    num_bytes: int = 0  # received over the network, failed attempts included
    seconds: float = 0.0

    def summary(self) -> str:
        counts = f"{len(self.downloaded)} downloaded, {len(self.skipped)} already there, {len(self.failures)} failed"
        return f"{counts}; {self.num_bytes / 1e6:.1f} MB in {self.seconds:.1f} s"
