"""The connection to a server as the options of a data set describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from instseg.data.fetch.http_ranges import Retries


class ConnectionOptions(TypedDict, total=False):
    """Keywords of ``Connection``."""

    num_threads: int
    num_retries: int
    timeout_seconds: float
    backoff_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Parallel requests, and the patience with each; see ``download_files``.

    Args:
        num_threads: parallel downloads.
        num_retries: attempts after the first.
        timeout_seconds: longest time without a byte.
        backoff_seconds: pause before a retry, doubled with each, with jitter.
    """

    num_threads: int = 16
    num_retries: int = 5
    timeout_seconds: float = 30.0
    backoff_seconds: float = 1.0

    @property
    def retries(self) -> Retries:
        """All but the threads."""
        return {
            "num_retries": self.num_retries,
            "timeout_seconds": self.timeout_seconds,
            "backoff_seconds": self.backoff_seconds,
        }
