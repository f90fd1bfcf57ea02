"""The folder in the cache that holds a prepared dataset: trusted where every file is whole, else removed.

It has ``<split>/`` (the columns), ``<split>.json`` (COCO, for other tools), ``splits.json`` (which image went where),
``findings.json``, and ``state.json``, which says what the result depended on besides labels and options.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from instseg.core.records import Record, RecordError, read_record, write_record
from instseg.core.text import list_names, printable
from instseg.data.index.columns import Index
from instseg.data.index.layout import REMEDY, check_index
from instseg.data.prepared import FINDINGS, SPLITS_FILE, PreparedDataset
from instseg.data.reading.findings import Findings
from instseg.data.reading.findings_file import read_findings, write_findings
from instseg.data.reading.frames import files_changed
from instseg.data.splits.selection import SPLITS
from instseg.data.splits.splits_file import read_splits_file, write_splits_file

log = logging.getLogger(__name__)

STATE = "state.json"


class State(Record, frozen=True, kw_only=True):
    """The content of ``state.json``."""

    splits: list[str]  # that have an index of their own
    notes: list[str]  # for the user
    unusable: dict[str, int | None]  # image file -> when it was changed last (ns), None where there is none


def write_records(
    folder: Path, state: State, findings: Mapping[str, Findings], split_lists: Mapping[str, list[str]]
) -> None:
    """Write everything but the indices.

    Args:
        folder: of the cache, or the scratch folder that becomes it.
        state: of the images.
        findings: split -> what was found.
        split_lists: names of splits, and maybe ``unused`` -> file names.
    """
    write_findings(folder / FINDINGS, findings)
    write_splits_file(folder / SPLITS_FILE, split_lists)
    write_record(folder / STATE, state)


def find_prepared(folder: Path) -> PreparedDataset | None:
    """Open a prepared dataset if it is there, whole and up to date; remove it otherwise."""
    if not folder.exists():
        return None
    try:
        state = read_state(folder)
        if not files_changed(state.unusable):
            return open_prepared(folder, state)
    except RecordError as error:
        log.warning("%s", error)
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink()
    return None


def open_prepared(folder: Path, state: State | None = None) -> PreparedDataset:
    """Open a prepared dataset.

    Args:
        folder: of the cache.
        state: of the images, where it has been read already.

    Raises:
        RecordError: a file is missing or damaged.
    """
    state = state or read_state(folder)
    for split in state.splits:
        check_index(folder / split)
    read_findings(folder / FINDINGS, REMEDY)
    read_splits_file(folder / SPLITS_FILE, REMEDY)
    indices = {split: Index(folder / split) for split in SPLITS if split in state.splits}
    indices.setdefault("test", indices["val"])
    return PreparedDataset(folder, indices, state.notes)


def read_state(folder: Path) -> State:
    """Read what a prepared dataset depended on.

    Raises:
        RecordError: the file is missing, damaged, or names other splits.
    """
    state = read_record(folder / STATE, State, REMEDY)
    if not {"train", "val"} <= {*state.splits} <= {*SPLITS}:
        found = list_names(map(printable, state.splits))
        raise RecordError(
            f"{folder / STATE}: field splits: expected train, val and maybe test, found {found}; {REMEDY}"
        )
    return state
