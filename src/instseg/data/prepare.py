"""From a folder of labels to one index per split, once: read, select, split, index, and find it again at once.

The result lies in ``<cache_dir>/index/<name>-<key>-<images>/``, see ``cache``. The key covers path and content of the
label files, the identity of the reader and every option; the second one covers the image files. So whatever changes,
the dataset is built anew, and so it is where a file in the cache is damaged.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.locks import exclusive_lock
from instseg.core.new_folders import new_folder
from instseg.data import steps
from instseg.data.cache import find_prepared, folder_of, open_prepared, remove_damaged, write_records
from instseg.data.image_states import image_states
from instseg.data.index.layout import INDEX_VERSION
from instseg.data.label_digests import label_digests
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.label_rules import COCO_RULES, LabelRules
from instseg.data.reading.readers import LabelReader, identity_of, image_roots, labelled_categories
from instseg.data.splits.selection import Selection
from instseg.data.step_results import Request


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
    files, labelled = list(reader.label_files()), labelled_categories(reader)
    request = Request(reader, files, selection, exif, rules, tuple(corrected), labelled)
    stem = f"{name}-{_key(request, indices)}"
    found = find_prepared(indices, stem)
    if found is not None:
        return found
    with exclusive_lock(indices / f".{stem}.lock", f"index the labels of {reader.root}"):
        found = find_prepared(indices, stem)  # another process may have made it meanwhile
        return found or _prepare(indices, stem, request)


def _key(request: Request, indices: Path) -> str:
    added = [file for reader in request.corrected for file in reader.label_files()]
    files = {*request.label_files, *added, *request.selection.files()}
    digests = label_digests(files, request.reader.root, indices)
    content = [INDEX_VERSION, identity_of(request.reader), digests, asdict(request.selection), request.exif]
    content += [identity_of(reader) for reader in request.corrected]
    content.append(asdict(request.rules))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _prepare(indices: Path, stem: str, request: Request) -> PreparedDataset:
    remove_damaged(indices, stem)
    try:
        with _without_collector():
            return open_prepared(_build(indices, stem, request))
    except InstsegError as error:
        root = str(request.reader.root)
        if root in str(error):
            raise
        raise InstsegError(f"{root}: {error}") from error


def _build(indices: Path, stem: str, request: Request) -> Path:
    """Return the folder, which is whole or not there."""
    selected = steps.select(steps.read(request))
    given = [*selected.labels.values(), *([selected.corrected] if selected.corrected else [])]
    roots = [root for reader in (request.reader, *request.corrected) for root in image_roots(reader)]
    images = image_states(given, roots)  # before a header is read: a change meanwhile shows at the next start
    folder = folder_of(indices, stem, images)
    try:
        with new_folder(folder) as scratch:
            write_records(scratch, steps.index(steps.split(selected), scratch), images)
    except OSError:
        if not folder.exists():  # else another machine was faster, with the same result
            raise
    return folder


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector: visiting millions of labels, which are in no cycle, takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
