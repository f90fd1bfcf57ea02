"""The path of a dataset root that lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from instseg.core.errors import InstsegError


def local_path(root: str) -> Path | None:
    """Return the existing path that a dataset root names; None for one that is elsewhere.

    Raises:
        InstsegError: there is no such file or folder.
    """
    scheme = root.partition("://")[0].lower() if "://" in root else "file"
    if scheme != "file":
        return None
    path = Path(os.path.expanduser(root.removeprefix("file://")))  # noqa: PTH111  (~nobody stays as it is)
    if not root or not os.path.exists(path):  # noqa: PTH110  (raises for a name that is too long)
        raise InstsegError(f"dataset.root: no such {'file' if is_zip(path.name) else 'folder'}: {root and path}")
    return path


def is_zip(name: str) -> bool:
    """Tell whether a path or address is that of a zip archive."""
    return name.lower().endswith(".zip")
