"""Groups of images by a pattern on their file names, such as the frames of one video."""

from __future__ import annotations

import re
from collections.abc import Iterable

from instseg.core.errors import InstsegError

SIMILAR = "similar"
"""The value of ``dataset.group_by`` that keeps near-duplicate images together; any other is a pattern."""


def group_names(file_names: Iterable[str], pattern: str) -> dict[str, str]:
    r"""Return file name -> group, for the names in which the pattern is found.

    The group is what the parentheses of the pattern enclose, all of them together, or without any the whole match:
    ``(.*)_\d+`` keeps the frames of a video together, ``^[^/]+`` the files of a folder.

    Args:
        file_names: of all images.
        pattern: a regular expression.

    Raises:
        InstsegError: it is no regular expression.
    """
    compiled = compile_pattern(pattern)
    found = ((name, compiled.search(name)) for name in file_names)
    return {name: "\0".join(part or "" for part in match.groups() or (match[0],)) for name, match in found if match}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of ``dataset.group_by``.

    Raises:
        InstsegError: it is no regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InstsegError(
            f"dataset.group_by={pattern}: no regular expression ({error}); expected one such as '(.*)_[0-9]+', "
            f"{SIMILAR} to keep near-duplicate images together, or null"
        ) from error
