"""TensorBoard's event files as part of a run's state: their sizes, and truncating them to these.

The steps that a killed run logged after its last checkpoint are logged again by the run that resumes from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

EVENT_FILES = "events.out.tfevents.*"


def event_file_sizes(folder: Path) -> dict[str, int]:
    """Return name -> size in bytes of each event file, once these bytes are on the disk.

    So a checkpoint that holds the sizes outlives a power cut. The caller flushes the writer before.
    """
    sizes = {}
    for path in sorted(folder.glob(EVENT_FILES)):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sizes[path.name] = path.stat().st_size
    return sizes


def rewind_event_files(folder: Path, sizes: Mapping[str, int]) -> None:
    """Truncate each event file to its earlier size, and remove those that did not exist then.

    Args:
        folder: of the run.
        sizes: name -> bytes, as ``event_file_sizes`` returned them.
    """
    for path in folder.glob(EVENT_FILES):
        if path.name not in sizes:
            path.unlink()
        elif path.stat().st_size > sizes[path.name]:
            os.truncate(path, sizes[path.name])
