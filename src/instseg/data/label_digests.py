"""Digests of label files, by which a change is found even where size and time are as before.

They are kept beside the indices, so that a file of 400 MB is read once and not at each start: only a file whose size
or times are others than before is read again. A file that was changed a moment ago is not kept: within one tick of the
clock it may change again without another time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from instseg.core.file_states import FileStates, digests_of
from instseg.core.records import RecordError, read_record, write_record

SETTLED_NS = 2_000_000_000
REMEDY = "all label files are read again"

log = logging.getLogger(__name__)


def label_digests(files: Iterable[Path], root: Path, indices: Path) -> list[tuple[str, str]]:
    """Return (absolute path, digest of the content) of each file, sorted; of a folder, the names in it count.

    Args:
        files: of the labels, and whatever else decides the result.
        root: of the labels.
        indices: folder of the cache, where the digests are kept.
    """
    paths = sorted({os.path.abspath(file) for file in files})  # noqa: PTH100  (Path costs 10 us a file)
    kept = indices / f".labels-{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]}.json"
    known = _read(kept)
    started = time.time_ns()
    states = digests_of(paths, known)
    new = {path: state for path, state in states.items() if known.get(path) != state}
    settled = {path: state for path, state in new.items() if _last_change(state) < started - SETTLED_NS}
    if settled and not kept.is_dir():
        still = {path: state for path, state in states.items() if path not in new}
        write_record(kept, FileStates(files=still | settled))
    return [(path, state.rpartition(" ")[2]) for path, state in states.items()]


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if path.is_dir():
        log.warning("%s is a folder, where a file is expected: %s at each start until you delete it", path, REMEDY)
        return {}
    try:
        return read_record(path, FileStates, REMEDY).files
    except RecordError as error:
        log.warning("%s", error)
        return {}


def _last_change(state: str) -> int:
    """Return the later of the two times, 0 for a file that is not there."""
    return max((int(time_ns) for time_ns in state.split()[1:-1]), default=0)
