"""Error type for everything that a user can fix."""


class InstsegError(Exception):
    """Mistake that the user can fix; the message names the file or key, what was expected and what was found."""
