"""TensorBoard's event files as part of a run's state: their sizes are saved, and they are truncated to these.

Otherwise the steps that a killed run logged after its last checkpoint would stand in its curves twice.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

EVENT_FILES = "events.out.tfevents.*"
TIME = re.compile(r"events\.out\.tfevents\.(\d{1,15})\.")
"""Seconds since 1970 in the name of an event file, when it was begun."""

log = logging.getLogger(__name__)


def event_file_sizes(folder: Path) -> dict[str, int]:
    """Return name -> size in bytes of each event file, after flushing these bytes to the disk.

    A power cut can then not leave a checkpoint with sizes that the files do not have. The caller flushes the writer.
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
    _warn_of_the_clock(folder)


def _warn_of_the_clock(folder: Path) -> None:
    """Warn where the next event file will be named as one from before the others."""
    times = [int(found[1]) for path in folder.glob(EVENT_FILES) if (found := TIME.match(path.name))]
    if times and max(times) > time.time():
        log.warning(
            "the clock has gone back since this run was stopped: TensorBoard reads its files in the order of their "
            "times, and will draw the curves of this run in the wrong order; history.csv and curves.png are right"
        )
