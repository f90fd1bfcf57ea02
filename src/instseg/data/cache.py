"""The folders in the cache that hold prepared datasets: one for each state of the images, trusted where it is whole.

A folder has ``<split>/`` (the columns), ``<split>.json`` (COCO, for other tools), ``splits.json`` (which image went
where), ``findings.json``, ``state.json`` (which splits there are), ``images.json`` (the image files as they were), and
``seal.json`` (the digests of all these). It is never changed: a running training may have it open.
"""

from __future__ import annotations

import glob
import logging
import shutil
from contextlib import suppress
from pathlib import Path

from instseg.core.file_states import check_seal, seal
from instseg.core.records import Record, RecordError, read_record, write_record
from instseg.core.text import list_names, printable
from instseg.data.image_states import Changes, ImageStates, changes_since
from instseg.data.index.columns import Index
from instseg.data.index.layout import REMEDY, check_index
from instseg.data.prepared import FINDINGS, SPLITS_FILE, PreparedDataset
from instseg.data.reading.findings_file import read_findings, write_findings
from instseg.data.reading.labels import SPLITS
from instseg.data.splits.splits_file import read_splits_file, write_splits_file
from instseg.data.step_results import IndexedLabels

log = logging.getLogger(__name__)

STATE, IMAGES, SEAL = "state.json", "images.json", "seal.json"


class State(Record, frozen=True, kw_only=True):
    """The content of ``state.json``."""

    splits: list[str]  # that have an index of their own
    notes: list[str]  # for the user


def write_records(folder: Path, indexed: IndexedLabels, images: ImageStates) -> None:
    """Write everything but the indices, and seal the folder.

    Args:
        folder: the scratch folder that becomes the one of the cache.
        indexed: what is in its indices.
        images: the files that they were made from.
    """
    write_findings(folder / FINDINGS, indexed.findings)
    write_splits_file(folder / SPLITS_FILE, indexed.split_lists)
    write_record(folder / IMAGES, images)
    write_record(folder / STATE, State(splits=[*indexed.splits], notes=indexed.notes))
    seal(folder, folder / SEAL)


def folder_of(indices: Path, stem: str, images: ImageStates) -> Path:
    """Return the folder of a prepared dataset.

    Args:
        indices: folder of the cache.
        stem: name that stands for labels and options.
        images: the state of the image files.
    """
    return indices / f"{stem}-{images.digest}"


def find_prepared(indices: Path, stem: str) -> PreparedDataset | None:
    """Open a prepared dataset if it is there, whole, and its images are as they were; nothing is changed.

    Args:
        indices: folder of the cache.
        stem: name that stands for labels and options.
    """
    for folder in _folders(indices, stem):
        with suppress(RecordError):
            if not changes_since(_read_images(folder)):
                return open_prepared(folder)
    return None


def remove_damaged(indices: Path, stem: str) -> None:
    """Remove what is not whole, and say so; say which images have changed where that is why nothing was found.

    Args:
        indices: folder of the cache.
        stem: name that stands for labels and options.
    """
    changes: list[Changes] = []
    for folder in _folders(indices, stem):
        try:
            open_prepared(folder)
            changes.append(changes_since(_read_images(folder)))
        except RecordError as error:
            log.warning("%s", error)
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    if changes:
        log.info("images have changed since they were indexed: %s; %s", min(changes, key=len), REMEDY)


def _folders(indices: Path, stem: str) -> list[Path]:
    return sorted(indices.glob(f"{glob.escape(stem)}-*"))


def _read_images(folder: Path) -> ImageStates:
    return read_record(folder / IMAGES, ImageStates, REMEDY)


def open_prepared(folder: Path) -> PreparedDataset:
    """Open a prepared dataset.

    Raises:
        RecordError: a file is missing or damaged.
    """
    check_seal(folder, folder / SEAL, REMEDY)
    state = read_state(folder)
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
