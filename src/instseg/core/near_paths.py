"""Paths that do not exist, for messages: where they were sought, and what similar names there are."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path


def where_looked(path: Path) -> str:
    """Return the rest of a message about a path that is not there: its absolute form, and a similar one that is.

    Args:
        path: as it was given, relative to the current folder.
    """
    looked = "" if path.is_absolute() else f" (looked for {path.absolute()})"
    near = near_path(path)
    return f"{looked}. Did you mean {near}?" if near else looked


def near_path(path: Path) -> Path | None:
    """Return the path with its first missing part replaced by a similar name that is there; None for none.

    Args:
        path: that is not there.
    """
    with suppress(OSError):
        for above in reversed([path, *path.parents[:-1]]):
            if not above.exists():
                names = [entry.name for entry in above.parent.iterdir()]
                close = difflib.get_close_matches(above.name, names, n=1, cutoff=0.7)
                found = above.with_name(close[0]) / path.relative_to(above) if close else None
                return found if found and found.exists() else None
    return None
