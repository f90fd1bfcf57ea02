"""Error type for everything that a user can fix."""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE = 3000
"""Letters of a line of a message. Libraries repeat a name of 10,000 letters whole, or a damaged line of a file."""


class InstsegError(Exception):
    """Mistake that the user can fix; the message names the file or key, what was expected and what was found.

    Of a line that nobody would read to its end, the middle is left out.
    """

    def __init__(self, message: str) -> None:
        """Shorten what is too long.

        Args:
            message: for a user, in one line or several.
        """
        super().__init__("\n".join(map(_shortened, message.split("\n"))))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to its first cause, whether it was raised from it or while that was handled.

    Args:
        error: whose causes may be a circle, which ends where it began.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _shortened(line: str) -> str:
    half = MAX_LINE // 2
    return line if len(line) <= MAX_LINE else f"{line[:half]} … {line[-half:]}"
