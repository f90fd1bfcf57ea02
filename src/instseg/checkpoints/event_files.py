"""TensorBoard's event files as part of a run's state: how long they were, and cutting them back to that length.

What a killed run wrote after its last checkpoint is written once more by the run that goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

EVENT_FILES = "events.out.tfevents.*"


def event_file_sizes(folder: Path) -> dict[str, int]:
    """Name -> bytes of each event file, which have reached the disk: a checkpoint that names them outlives a power cut.

    Whoever writes to them flushes before.
    """
    sizes = {}
    for path in sorted(folder.glob(EVENT_FILES)):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sizes[path.name] = path.stat().st_size
    return sizes


def rewind_event_files(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut each file back to the size it had; files that were not there yet are removed."""
    for path in folder.glob(EVENT_FILES):
        if path.name not in sizes:
            path.unlink()
        elif path.stat().st_size > sizes[path.name]:
            os.truncate(path, sizes[path.name])
