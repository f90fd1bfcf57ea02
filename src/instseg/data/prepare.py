"""From a folder of labels to one index per split, once: select, split, limit, write, and find it again at once.

The result lies in ``<cache_dir>/index/<name>-<key>/``: ``<split>.json`` (canonical COCO, usable by other tools),
``<split>/`` (the memory-mapped columns), ``splits.json`` (which image went where) and ``findings.json``. The key
covers the annotation files' path, size and time, and every option, so a changed label or option builds anew; so
does an image that could not be used and has been added or replaced since (``unusable.json``).
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from instseg.core.atomic import made_once, new_folder
from instseg.core.categories import Categories, select_names
from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.types import CocoDict
from instseg.data.index.build import note_unlabelled, write_index
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.coco_text import write_coco
from instseg.data.reading.findings import KINDS, Findings, write_findings
from instseg.data.reading.frames import decide_frames, files_changed, read_photos, unusable_files
from instseg.data.reading.labels import Labels, without_dangling
from instseg.data.reading.readers import LabelReader
from instseg.data.splits.divide import divide, file_names
from instseg.data.splits.select import limit_images, rename_categories, select_categories
from instseg.data.splits.splits import SPLITS, UNUSED, Selection

log = logging.getLogger(__name__)

INDEX_VERSION = 3
"""Raise it whenever the same labels give another index."""


def prepare_dataset(
    reader: LabelReader, selection: Selection, cache_dir: Path, name: str, exif: str = "auto"
) -> PreparedDataset:
    """Build the indices unless they exist. Atomic: an interrupted build leaves nothing that looks whole.

    ``exif``: the frame in which the labels were drawn, see ``decide_frames``.
    """
    indices = cache_dir.absolute() / "index"
    mark_as_cache(indices)  # first: it may lie below the labels' root
    label_files = list(reader.label_files())
    folder = indices / f"{name}-{_key(reader, label_files, selection, exif)}"
    if folder.exists() and files_changed(json.loads((folder / "unusable.json").read_text())):
        shutil.rmtree(folder)

    def build() -> None:
        try:
            with new_folder(folder) as scratch, _without_collector():
                _build(reader, label_files, selection, exif, scratch)
        except InstsegError as error:
            if str(reader.root) in str(error):
                raise
            raise InstsegError(f"{reader.root}: {error}") from error
        except OSError:
            if not folder.exists():  # else another machine was faster, with the same result
                raise

    made_once(folder, f"index the labels of {reader.root}", build)
    return _open(folder)


def _key(reader: LabelReader, label_files: list[Path], selection: Selection, exif: str) -> str:
    files = sorted(_state(file) for file in {*label_files, *selection.files()})
    text = json.dumps([INDEX_VERSION, repr(reader), files, asdict(selection), exif], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _state(file: Path) -> tuple[str, int, int]:
    try:
        stat = file.stat()
    except OSError:  # such as a link to nothing: the reader says what it misses
        return str(file), -1, -1
    return os.path.abspath(file), stat.st_size, stat.st_mtime_ns  # noqa: PTH100  (Path costs 10 us a file)


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


def _build(reader: LabelReader, label_files: list[Path], selection: Selection, exif: str, folder: Path) -> None:
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    read = reader.read(findings)
    note_unlabelled(read, label_files, findings)
    labels = _checked(read, reader.root, selection, findings)
    parts, notes = divide(labels, selection)
    categories = _categories({split: part.coco for split, part in parts.items()}, selection)
    listed = file_names(parts)
    for split, part in parts.items():
        parts[split] = Labels(_selected(part.coco, split, categories, selection), part.image_root)
    photos = {split: read_photos(p.coco["images"], p.image_root, f"Reading {split}") for split, p in parts.items()}
    is_upright = decide_frames((photo for some in photos.values() for photo in some), exif)
    for split, part in parts.items():
        coco, root = part.coco, part.image_root
        log.info("indexing %s: %d images, %d annotations", split, len(coco["images"]), len(coco["annotations"]))
        write_index(coco, photos[split], root, categories, folder / split, is_upright, findings[split])
        write_coco(folder / f"{split}.json", {**coco, "info": _info(coco, root)})
        _check_not_empty(Index(folder / split), split, root, findings)
    write_findings(folder / "findings.json", findings)
    _write_json(folder / "unusable.json", unusable_files(photo for some in photos.values() for photo in some))
    _write_json(folder / "splits.json", _splits(listed, file_names(parts)))
    _write_json(folder / "notes.json", notes)


def _checked(
    labels: Mapping[str, Labels], root: Path, selection: Selection, findings: Mapping[str, Findings]
) -> dict[str, Labels]:
    """Without what hangs in the air, and with the names that the user wants."""
    checked = {split: without_dangling(part.coco, findings[split]) for split, part in labels.items()}
    if not any(coco["images"] for coco in checked.values()):
        raise InstsegError(f"{root}: its labels name no image")
    renamed = rename_categories(checked, selection.rename, selection.drop)
    return {split: Labels(coco, labels[split].image_root) for split, coco in renamed.items()}


def _categories(parts: Mapping[str, CocoDict], selection: Selection) -> Categories:
    """The chosen names, or those of train; InstsegError with the difference where a split has others."""
    names = {split: tuple(dict.fromkeys(c["name"] for c in coco["categories"])) for split, coco in parts.items()}
    chosen = Categories(select_names(names["train"], selection.categories, "split train"))
    if not chosen.names:
        raise InstsegError("split train: its list of categories is empty")
    for split, has in names.items():
        if selection.categories:
            select_names(has, chosen.names, f"split {split}")
        elif sorted(has) != sorted(chosen.names):
            Categories(has).check_same(chosen, f"split {split}", "split train")
    return chosen


def _selected(coco: CocoDict, split: str, categories: Categories, selection: Selection) -> CocoDict:
    coco = select_categories(coco, categories.names)
    coco = limit_images(coco, (selection.max_images or {}).get(split), selection.empty_ratio, selection.seed)
    if not coco["images"]:
        raise InstsegError(f"split {split}: dataset.empty_ratio={selection.empty_ratio} leaves no image")
    return coco


def _splits(listed: Mapping[str, list[str]], used: dict[str, list[str]]) -> dict[str, list[str]]:
    """What ``dataset.splits_file`` takes; images that a limit has left out are listed as unused."""
    unused = sorted({name for names in listed.values() for name in names}.difference(*used.values()))
    return used | ({UNUSED: unused} if unused else {})


def _check_not_empty(index: Index, split: str, image_root: Path, findings: Mapping[str, Findings]) -> None:
    if len(index) == 0:
        found = (item for some in findings.values() for item in some.names.items())
        why = "".join(f"; {len(names)} {KINDS[kind]}, such as {names[0]}" for kind, names in found)
        raise InstsegError(f"split {split}: none of its images could be used; they were sought in {image_root}{why}")
    if split == "train" and index.num_instances == 0:
        raise InstsegError(f"split train: no image has an instance of {', '.join(index.categories.names)}")


def _info(coco: CocoDict, image_root: Path) -> dict[str, Any]:
    info = coco.get("info")
    return {**(info if isinstance(info, dict) else {}), "image_root": str(image_root.absolute())}


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _open(folder: Path) -> PreparedDataset:
    indices = {split: Index(folder / split) for split in SPLITS if (folder / split).is_dir()}
    indices.setdefault("test", indices["val"])
    return PreparedDataset(folder, indices, json.loads((folder / "notes.json").read_text()))
