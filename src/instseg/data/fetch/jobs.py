"""Download jobs, the verification of their files, and the report of their results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from instseg.core.errors import InstsegError


@dataclass(frozen=True, slots=True)
class Download:
    """One file to download, verified before it gets its name.

    Without Content-Length from the server and without any of the checks, a truncated body goes unnoticed.

    Attributes:
        url: http or https.
        path: its destination.
        size_bytes: expected size.
        sha256: expected digest, hexadecimal.
        md5: expected digest, hexadecimal.
        max_bytes: a larger file is refused as soon as that is seen.
        validate: called with the complete file under its temporary name; raises InstsegError to reject it.
    """

    url: str
    path: Path
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    validate: Callable[[Path], None] | None = None
    max_bytes: int | None = None

    def verify(self, path: Path) -> None:
        """Check size, digest and content of a file.

        Raises:
            InstsegError: a check failed.
        """
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
    """A file that could not be downloaded, and the reason."""

    url: str
    path: Path
    reason: str


@dataclass(slots=True)
class DownloadReport:
    """Results of all jobs; each job is in one of the three lists."""

    downloaded: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)  # existed already
    failures: list[DownloadFailure] = field(default_factory=list)
    num_bytes: int = 0  # received over the network, failed attempts included
    seconds: float = 0.0

    def summary(self) -> str:
        """Return counts, size and time for the log."""
        counts = f"{len(self.downloaded)} downloaded, {len(self.skipped)} already there, {len(self.failures)} failed"
        return f"{counts}; {self.num_bytes / 1e6:.1f} MB in {self.seconds:.1f} s"
