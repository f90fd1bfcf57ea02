"""The limits of a server, and what a request hears that exceeds one."""

from __future__ import annotations

from dataclasses import dataclass

from instseg.core.errors import InstsegError
from instseg.core.text import plural

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TIMEOUT = 400, 401, 403, 408
TOO_LARGE, NO_IMAGE, UNUSABLE, TOO_MANY, UNAVAILABLE = 413, 415, 422, 429, 503
"""Codes of HTTP."""


class RefusedError(InstsegError):
    """A request that is not answered; its text is one sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        """Store the code.

        Args:
            status: of HTTP.
            sentence: that says why.
        """
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one request, and of all together."""

    megabytes: float
    """Of the body of a request."""
    megapixels: float
    """Of an image."""
    waiting: int
    """Requests with an image at once: those that are being received, wait, or are answered."""
    seconds: float
    """For the body to arrive, and again for the answer."""

    @property
    def num_bytes(self) -> int:
        """The most bytes of a body."""
        return int(self.megabytes * 1e6)

    def check_bytes(self, num_bytes: int) -> None:
        """Raise RefusedError for more bytes than a body may have."""
        if num_bytes > self.num_bytes:
            raise RefusedError(TOO_LARGE, f"more than {self.megabytes:g} MB, the most that this server takes")

    def check_pixels(self, height: int, width: int) -> None:
        """Raise RefusedError for an image of more pixels than one may have.

        Args:
            height: in pixels.
            width: in pixels.
        """
        if height * width > self.megapixels * 1e6:
            raise RefusedError(
                TOO_LARGE,
                f"an image of {width} x {height} pixels, this server takes up to {self.megapixels:g} megapixels",
            )

    def too_many(self) -> RefusedError:
        """Return the answer to a request that finds no place."""
        return RefusedError(TOO_MANY, f"{plural(self.waiting, 'request')} at once already, try again in a second")

    def too_late(self) -> RefusedError:
        """Return the answer to a request that has waited too long."""
        return RefusedError(UNAVAILABLE, f"no answer within {self.seconds:g} s, the server is busy; try again later")
