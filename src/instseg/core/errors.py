"""Error type for everything that a user can fix."""

from __future__ import annotations

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


def _shortened(line: str) -> str:
    half = MAX_LINE // 2
    return line if len(line) <= MAX_LINE else f"{line[:half]} … {line[-half:]}"
