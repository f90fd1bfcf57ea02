"""The writers that a user chooses by name: ``save=[overlays,coco]`` among the entries of the group ``writers``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean


def checked_names(save: object, known: Collection[str]) -> tuple[str, ...]:
    """Return the names of the chosen writers, each once.

    Args:
        save: one name, or several.
        known: names of all writers of the configuration.

    Raises:
        InstsegError: there is no name, or one that is not known; the message says what was meant.
    """
    names = [save] if isinstance(save, str) else save
    if not isinstance(names, Sequence) or not names:
        raise InstsegError(f"save={save}: expected one or more of {', '.join(known)}")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=2)
            meant = did_you_mean(close)
            raise InstsegError(f"save: there is no writer {name}.{meant} Known here: {', '.join(known)}")
    return tuple(dict.fromkeys(names))
