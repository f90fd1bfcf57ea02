"""The paths of labels that lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.near_paths import where_looked
from instseg.core.text import printable

RUN_OF_PREDICTIONS = "prediction_run.json"


def local_path(root: str, key: str = "dataset.root") -> Path | None:
    """Return the existing path that a dataset root names; None for one that is elsewhere.

    Args:
        root: a path or URL.
        key: of the configuration, for the message.

    Raises:
        InstsegError: there is no such file or folder.
    """
    scheme = root.partition("://")[0].lower() if "://" in root else "file"
    if scheme != "file":
        return None
    path = Path(os.path.expanduser(root.removeprefix("file://")))  # noqa: PTH111  (~nobody stays as it is)
    if not root or not os.path.exists(path):  # noqa: PTH110  (raises for a name that is too long)
        kind = "file" if is_zip(path.name) else "folder"
        raise InstsegError(f"{key}: no such {kind}: {root and path}{where_looked(path) if root else ''}")
    return path


def is_zip(name: str) -> bool:
    """Tell whether a path or address is that of a zip archive."""
    return name.lower().endswith(".zip")


def corrected_places(given: object) -> list[str]:
    """Return the paths and URLs of ``dataset.corrected``, each of which is there if it is on this machine.

    Raises:
        InstsegError: one is not there, or is a whole output folder of predict.py.
    """
    places = [] if given is None else [given] if isinstance(given, str) else given
    if not isinstance(places, list | tuple) or not all(isinstance(place, str) for place in places):
        raise InstsegError(f"dataset.corrected: expected a folder, a file, or a list of them, found {printable(given)}")
    for place in places:
        path = local_path(place, "dataset.corrected")
        if path is not None and (path / RUN_OF_PREDICTIONS).is_file():
            raise InstsegError(
                f"dataset.corrected={place} is an output folder of predict.py: name what was corrected, such as "
                f"{place}/labelme, {place}/predictions.json, or the file that Label Studio exported"
            )
    return list(places)
