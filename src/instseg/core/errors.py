"""The one error type for what a user can mend."""


class InstsegError(Exception):
    """Something the user can mend. The message names the file or key, what was expected and what was found."""
