"""From a folder of labels to one index per split, once: read, select, split, index, and find it again at once.

The result lies in ``<cache_dir>/index/<name>-<key>/``, see ``cache``. The key covers the annotation files' path, size
and time, the identity of the reader and every option, so a changed label or option builds anew; so does an image
that could not be used and has been added or replaced since, and a file in the cache that is damaged.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from instseg.core.atomic import new_folder
from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.locks import made_once
from instseg.data import steps
from instseg.data.cache import State, find_prepared, open_prepared, write_records
from instseg.data.index.layout import INDEX_VERSION
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.label_rules import COCO_RULES, LabelRules
from instseg.data.reading.readers import LabelReader, identity_of
from instseg.data.splits.selection import Selection
from instseg.data.stages import Request


def prepare_dataset(
    reader: LabelReader,
    selection: Selection,
    cache_dir: Path,
    name: str,
    exif: str = "auto",
    corrected: Sequence[LabelReader] = (),
    rules: LabelRules = COCO_RULES,
) -> PreparedDataset:
    """Build the indices of a dataset unless the cache holds them.

    Atomic: an interrupted build leaves nothing that looks whole.

    Args:
        reader: of the labels.
        selection: of what they hold.
        cache_dir: where the result is kept.
        name: of the dataset, the start of the folder's name.
        exif: the frame in which the labels were drawn, see ``decide_frames``.
        corrected: readers of corrected predictions, which join train.
        rules: how labels that may mean two things are read.

    Raises:
        InstsegError: the labels are of no use, with the folder and the reason.
    """
    indices = cache_dir.absolute() / "index"
    mark_as_cache(indices)  # first: it may lie below the labels' root
    request = Request(reader, list(reader.label_files()), selection, exif, rules, indices, tuple(corrected))
    folder = indices / f"{name}-{_key(request)}"
    found = find_prepared(folder)
    if found is not None:
        return found
    made_once(folder, f"index the labels of {reader.root}", lambda: _build_into(folder, request))
    return open_prepared(folder)


def _key(request: Request) -> str:
    added = [file for reader in request.corrected for file in reader.label_files()]
    files = sorted(_state(file) for file in {*request.label_files, *added, *request.selection.files()})
    content = [INDEX_VERSION, identity_of(request.reader), files, asdict(request.selection), request.exif]
    content += [identity_of(reader) for reader in request.corrected]
    content.append(asdict(request.rules))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _state(file: Path) -> tuple[str, int, int]:
    try:
        stat = file.stat()
    except OSError:  # such as a link to nothing: the reader says what it misses
        return str(file), -1, -1
    return os.path.abspath(file), stat.st_size, stat.st_mtime_ns  # noqa: PTH100  (Path costs 10 us a file)


def _build_into(folder: Path, request: Request) -> None:
    try:
        with new_folder(folder) as scratch, _without_collector():
            _build(replace(request, folder=scratch))
    except InstsegError as error:
        root = str(request.reader.root)
        if root in str(error):
            raise
        raise InstsegError(f"{root}: {error}") from error
    except OSError:
        if not folder.exists():  # else another machine was faster, with the same result
            raise


def _build(request: Request) -> None:
    read = steps.read(request)
    selected = steps.select(read)
    divided = steps.split(selected)
    indexed = steps.index(divided)
    state = State(splits=[*indexed.splits], notes=indexed.notes, unusable=indexed.unusable)
    write_records(request.folder, state, indexed.findings, indexed.split_lists)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Labels are millions of objects in no cycle; visiting them again and again takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
