"""From a folder of labels to one index per split, once: select, split, limit, write, and find it again at once.

The result lies in ``<cache_dir>/index/<name>-<key>/``: ``<split>.json`` (canonical COCO, usable by other tools),
``<split>/`` (the memory-mapped columns), ``splits.json`` (which image went where) and ``findings.json``. The key
covers the annotation files' path, size and time, and every option, so a changed label or option builds anew; so
does an image that could not be used and has been added or replaced since (``unusable.json``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from instseg.atomic import new_folder
from instseg.categories import Categories, select_names
from instseg.data.findings import Findings, read_findings, write_findings
from instseg.data.formats.coco import UNSPLIT, AnnotatedFolder, CocoReader, load_coco
from instseg.data.frames import files_changed, labels_are_upright, read_photos, unusable_files
from instseg.data.index import Index
from instseg.data.indexing import without_dangling, write_index
from instseg.data.splits import SPLITS, Selection, limit_images, select_categories, split_images
from instseg.errors import InstsegError
from instseg.types import CocoDict

log = logging.getLogger(__name__)

INDEX_VERSION = 2
"""Raise it whenever the same labels give another index."""


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """The indices of a dataset by split name, and where they lie. ``test`` may be the val images: see ``notes``."""

    folder: Path
    indices: dict[str, Index]
    notes: list[str]

    @property
    def categories(self) -> Categories:
        return self.indices["train"].categories

    @property
    def fingerprint(self) -> str:
        return self.folder.name

    def on_training_images(self, num_images: int) -> PreparedDataset:
        """The first training images that have instances, as every split: what a network must learn by heart."""
        few = self.indices["train"].first_with_instances(num_images)
        notes = [f"Training and evaluation both look at the same {len(few)} training images."]
        return PreparedDataset(self.folder, dict.fromkeys(SPLITS, few), notes)


@dataclass(frozen=True, slots=True)
class _Labels:
    """One split on its way: what its json says and the folder of its images."""

    coco: CocoDict
    image_root: Path


def prepare_dataset(reader: CocoReader, selection: Selection, cache_dir: Path, name: str) -> PreparedDataset:
    """Build the indices unless they exist. Atomic: an interrupted build leaves nothing that looks whole."""
    folders = reader.find()
    folder = cache_dir.absolute() / "index" / f"{name}-{_key(folders, selection)}"
    if folder.exists() and files_changed(json.loads((folder / "unusable.json").read_text())):
        shutil.rmtree(folder)
    if not folder.exists():
        try:
            with new_folder(folder) as scratch:
                _build(folders, selection, scratch)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same result
                raise
    _warn(folder)
    return _open(folder)


def _key(folders: Mapping[str, AnnotatedFolder], selection: Selection) -> str:
    files = {}
    for split, where in folders.items():
        stat = where.annotation_file.stat()
        root = str(where.image_root and where.image_root.absolute())
        files[split] = [str(where.annotation_file.absolute()), stat.st_size, stat.st_mtime_ns, root]
    text = json.dumps([INDEX_VERSION, files, asdict(selection)], sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _build(folders: Mapping[str, AnnotatedFolder], selection: Selection, folder: Path) -> None:
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    parts, notes = _divide(_load(folders, findings), selection)
    categories = _categories({split: part.coco for split, part in parts.items()}, selection)
    for split, part in parts.items():
        parts[split] = _Labels(_selected(part.coco, split, categories, selection), part.image_root)
    photos = {split: read_photos(p.coco["images"], p.image_root, f"Reading {split}") for split, p in parts.items()}
    upright = labels_are_upright(photo for some in photos.values() for photo in some)
    for split, part in parts.items():
        coco, root = part.coco, part.image_root
        log.info("indexing %s: %d images, %d annotations", split, len(coco["images"]), len(coco["annotations"]))
        write_index(coco, photos[split], root, categories, folder / split, upright, findings[split])
        _write_json(folder / f"{split}.json", {**coco, "info": _info(coco, root)})
        _check_not_empty(Index(folder / split), split, root)
    write_findings(folder / "findings.json", findings)
    _write_json(folder / "unusable.json", unusable_files(photo for some in photos.values() for photo in some))
    _write_json(folder / "splits.json", {s: [i["file_name"] for i in p.coco["images"]] for s, p in parts.items()})
    _write_json(folder / "notes.json", notes)


def _load(folders: Mapping[str, AnnotatedFolder], findings: defaultdict[str, Findings]) -> dict[str, _Labels]:
    labels = {}
    for split, where in folders.items():
        coco, image_root = load_coco(where)
        labels[split] = _Labels(without_dangling(coco, findings[split]), image_root)
    return labels


def _divide(labels: dict[str, _Labels], selection: Selection) -> tuple[dict[str, _Labels], list[str]]:
    """Train and val at least: where one is missing, or nothing is split, a seeded part of what there is."""
    parts, notes = dict(labels), []
    if len(parts) == 1 or not {"train", "val"} <= parts.keys():
        whole = next(split for split in (UNSPLIT, "train", *parts) if split in parts)
        source = parts.pop(whole)
        ratios = selection.ratios([split for split in SPLITS if split not in parts])
        divided = split_images(source.coco, ratios, selection.seed)
        parts |= {split: _Labels(coco, source.image_root) for split, coco in divided.items()}
        counts = ", ".join(f"{split} {len(coco['images'])}" for split, coco in divided.items())
        missing = "no splits" if whole == UNSPLIT else f"no {' and no '.join(s for s in divided if s != whole)}"
        notes.append(f"The labels have {missing}: divided by seed {selection.seed} into {counts} (splits.json).")
    if "test" not in parts:
        notes.append("There is no test split: 'test' is the val images, and best.ckpt was chosen on them.")
    return {split: parts[split] for split in SPLITS if split in parts}, notes


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


def _check_not_empty(index: Index, split: str, image_root: Path) -> None:
    if len(index) == 0:
        raise InstsegError(f"split {split}: none of its images could be used; they were sought in {image_root}")
    if split == "train" and index.num_instances == 0:
        raise InstsegError(f"split train: no image has an instance of {', '.join(index.categories.names)}")


def _info(coco: CocoDict, image_root: Path) -> dict[str, Any]:
    info = coco.get("info")
    return {**(info if isinstance(info, dict) else {}), "image_root": str(image_root.absolute())}


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


@rank_zero_only
def _warn(folder: Path) -> None:
    for split, found in read_findings(folder / "findings.json").items():
        found.log_warnings(split)


def _open(folder: Path) -> PreparedDataset:
    indices = {split: Index(folder / split) for split in SPLITS if (folder / split).is_dir()}
    indices.setdefault("test", indices["val"])
    return PreparedDataset(folder, indices, json.loads((folder / "notes.json").read_text()))
