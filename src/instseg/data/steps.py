"""The four steps from a reader to indices: read, select, split, index. Each takes and gives one typed thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import CocoDict
from instseg.data.corrected import read_corrected
from instseg.data.index.build import check_not_empty, with_range, write_index
from instseg.data.reading.checked import checked_labels, read_labels
from instseg.data.reading.coco_text import write_coco
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import decide_frames
from instseg.data.reading.labels import Labels
from instseg.data.reading.unlabelled import note_unlabelled
from instseg.data.splits.categories import joined_categories, unlabelled_by
from instseg.data.splits.divide import divide, split_lists
from instseg.data.splits.select import limit_images, rename_added, rename_categories, select_categories
from instseg.data.splits.selection import Selection
from instseg.data.step_results import IndexedLabels, ReadLabels, Request, SelectedLabels, SplitLabels


def read(request: Request) -> ReadLabels:
    """Read the labels, and note the images beside them that they do not name."""
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    labels = read_labels(request.reader, findings, request.rules)
    note_unlabelled(labels, request.label_files, findings)
    return ReadLabels(request, labels, findings, read_corrected(request.corrected, labels, findings, request.rules))


def select(read: ReadLabels) -> SelectedLabels:
    """Leave out what no image or category belongs to, then rename and drop categories."""
    selection, rules = read.request.selection, read.request.rules
    checked = {split: checked_labels(part.coco, rules, read.findings[split]) for split, part in read.labels.items()}
    if not any(coco["images"] for coco in checked.values()):
        raise InstsegError(f"{read.request.reader.root}: its labels name no image")
    renamed = rename_categories(checked, selection.rename, selection.drop)
    labels = {split: Labels(coco, read.labels[split].image_root) for split, coco in renamed.items()}
    return SelectedLabels(read.request, labels, read.findings, _renamed_corrected(read.corrected, renamed, selection))


def _renamed_corrected(corrected: Labels | None, others: Mapping[str, CocoDict], selection: Selection) -> Labels | None:
    if corrected is None:
        return None
    known = {category["name"] for coco in others.values() for category in coco["categories"]}
    return Labels(rename_added(corrected.coco, known, selection.rename, selection.drop), corrected.image_root)


def split(selected: SelectedLabels) -> SplitLabels:
    """Divide the images into train, val and test, then keep the chosen categories and as many images as wanted."""
    request, selection = selected.request, selected.request.selection
    division = divide(selected.labels, selection, selected.findings, selected.corrected, request.exif)
    divided, categories = joined_categories(division.parts, selection.categories, selected.findings)
    parts = {
        name: Labels(_limited(part.coco, name, categories.names, selection), part.image_root)
        for name, part in divided.items()
    }
    given = {**selected.labels, **({"corrected": selected.corrected} if selected.corrected else {})}
    listed = given if selection.splits_file else divided  # a splits file may leave images out of all splits
    lists = split_lists(given, [*listed.values(), *division.left_out], parts)
    unlabelled = unlabelled_by(request.labelled, [part.coco for part in given.values()], categories, selection)
    notes, headers = division.notes, division.headers
    return SplitLabels(request, parts, categories, lists, notes, selected.findings, headers, unlabelled)


def index(divided: SplitLabels, folder: Path) -> IndexedLabels:
    """Read the headers of all images, decide on the frames of their labels, and write the index of each split.

    Args:
        divided: the labels of each split.
        folder: where the indices are written.
    """
    parts, read_headers = divided.parts, divided.headers.read
    images = {name: read_headers(p.coco["images"], p.image_root, f"Reading {name}") for name, p in parts.items()}
    is_upright = decide_frames([image for some in images.values() for image in some], divided.request.exif)
    rules = with_range(divided.request.rules, images, divided.findings)
    for name, part in parts.items():
        coco, root = part.coco, part.image_root
        found, where = divided.findings[name], folder / name
        write_index(coco, images[name], root, divided.categories, where, is_upright, found, rules, divided.unlabelled)
        write_coco(folder / f"{name}.json", {**coco, "info": _info(coco, root)})
        check_not_empty(folder / name, root, divided.findings)
    return IndexedLabels(tuple(parts), divided.split_lists, divided.notes, divided.findings)


def _limited(coco: CocoDict, name: str, categories: tuple[str, ...], selection: Selection) -> CocoDict:
    coco = select_categories(coco, categories)
    coco = limit_images(coco, (selection.max_images or {}).get(name), selection.empty_ratio, selection.seed)
    if not coco["images"]:
        raise InstsegError(f"split {name}: dataset.empty_ratio={selection.empty_ratio} leaves no image")
    return coco


def _info(coco: CocoDict, image_root: Path) -> dict[str, object]:
    info = coco.get("info")
    return {**(info if isinstance(info, dict) else {}), "image_root": str(image_root.absolute())}
