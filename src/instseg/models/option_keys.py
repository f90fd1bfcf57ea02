"""The check of the names of options."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from instseg.core.errors import InstsegError


def check_keys(given: Iterable[str], known: Sequence[str], key: str) -> None:
    """Raise InstsegError on the first key that a group of options does not have.

    Args:
        given: the keys.
        known: all keys of the group.
        key: the group, such as ``model.box``.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            meant = f"did you mean {key}.{close[0]}? " if close else ""
            raise InstsegError(f"{key}.{name} is no option; {meant}{key} has {', '.join(known) or 'none'}")
