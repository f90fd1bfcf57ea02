"""Division of all labels into splits: as the labels say, by a seed, by folds, or as an earlier run wrote it down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import CocoDict
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.reading.frames import Headers
from instseg.data.reading.labels import SPLITS, UNSPLIT, Labels
from instseg.data.splits.additions import check_some_left, join_train, set_apart
from instseg.data.splits.grouping import group_images
from instseg.data.splits.merge import merge_labels
from instseg.data.splits.name_groups import SIMILAR
from instseg.data.splits.ratio_and_folds import fold_images, split_images
from instseg.data.splits.selection import Selection
from instseg.data.splits.splits_file import UNUSED, apply_splits_file, listed_names
from instseg.data.splits.usable import UsableImages

LARGE_GROUP = 1 / 3
"""Fraction of all images, from which a group makes the sizes of the splits lopsided; frames of a fixed camera do."""

PartsAndNotes = tuple[dict[str, Labels], list[str]]
"""Split name -> labels, and what a user should know about how it came about."""


@dataclass(frozen=True, slots=True)
class Division:
    """The labels of each split, and what belongs to them."""

    parts: dict[str, Labels]
    notes: list[str]  # what a user should know about how it came about
    left_out: list[Labels]  # of images that cannot be used
    headers: Headers  # those that have been read


def divide(
    labels: Mapping[str, Labels],
    selection: Selection,
    findings: Mapping[str, Findings],
    corrected: Labels | None = None,
    exif: str = "auto",
) -> Division:
    """Divide into train and val at least, and test where there is one or its fraction is not 0.

    Predictions that nobody has changed, and corrected labels, join train after the others are divided.

    Args:
        labels: split, or ``UNSPLIT`` -> its labels.
        selection: the options of the division.
        findings: split -> where images that are left out are named.
        corrected: labels to join the others.
        exif: the frame in which the labels were drawn, see ``decide_frames``.
    """
    if corrected and _lists_corrected(labels, corrected, selection):
        labels, corrected = {UNSPLIT: merge_labels([*labels.values(), corrected])}, None
    usable = UsableImages(exif, findings)
    kept, predictions = set_apart(labels, selection, findings)
    check_some_left(kept, labels)
    added = list(predictions)
    if corrected:
        changed, unchanged = set_apart({"train": corrected}, selection, findings)
        added += [*changed.values(), *unchanged]
    try:
        parts, notes = _divided(kept, selection, usable)
    except InstsegError as error:
        raise InstsegError(f"{error}{_besides(predictions)}") from error
    if added:
        parts, joined = join_train(parts, added, lambda whole: group_images(whole, selection.group_by), findings)
        notes += joined
    if "test" not in parts:
        notes.append("There is no test split: 'test' is the val images, and best.ckpt was chosen on them.")
    parts = {split: parts[split] for split in SPLITS if split in parts}
    return Division(parts, notes, usable.left_out, usable.headers)


def _besides(predictions: list[Labels]) -> str:
    """Return the end of a message on too few images, where there are predictions besides."""
    num_images = sum(len(part.coco["images"]) for part in predictions)
    if not num_images:
        return ""
    return (
        f"; {plural(num_images, 'image')} besides have labels that are predictions nobody has changed: correct more of "
        "them, or take them as they are with dataset.predictions=any"
    )


def _lists_corrected(labels: Mapping[str, Labels], corrected: Labels, selection: Selection) -> bool:
    """Tell whether the splits file is of a run with these corrected labels: its names of images are those with them."""
    if not selection.splits_file:
        return False
    listed = listed_names(selection.splits_file)
    without, joined = ({*_names(merge_labels(parts))} for parts in ([*labels.values()], [*labels.values(), corrected]))
    return len(listed & joined) > len(listed & without)


def _names(labels: Labels) -> list[str]:
    return [image["file_name"] for image in labels.coco["images"]]


def _divided(labels: Mapping[str, Labels], selection: Selection, usable: UsableImages) -> PartsAndNotes:
    """Divide all labels as the options say."""
    if selection.splits_file:
        return _as_written(labels, selection)
    if selection.folds:
        return _in_folds(labels, selection, usable)
    return _by_ratio(labels, selection, usable)


def _as_written(labels: Mapping[str, Labels], selection: Selection) -> PartsAndNotes:
    whole = merge_labels(list(labels.values()))
    assert selection.splits_file is not None
    divided, notes = apply_splits_file(whole.coco, selection.splits_file)
    return _with_root(divided, whole), [f"Divided as {selection.splits_file} says.", *notes]


def _in_folds(labels: Mapping[str, Labels], selection: Selection, usable: UsableImages) -> PartsAndNotes:
    """Keep a test split as it is; divide everything else into folds, whatever it was before."""
    whole = usable.of(merge_labels([part for split, part in labels.items() if split != "test"]), UNSPLIT)
    assert selection.folds is not None
    groups, notes = _groups(whole, selection)
    with usable.explaining():
        divided = fold_images(whole.coco, selection.folds, selection.fold, selection.seed, groups)
    parts = _with_root(divided, whole) | {split: part for split, part in labels.items() if split == "test"}
    notes.insert(0, f"Fold {selection.fold} of {selection.folds} (seed {selection.seed}): {_counts(divided)}.")
    return parts, notes


def _by_ratio(labels: Mapping[str, Labels], selection: Selection, usable: UsableImages) -> PartsAndNotes:
    """Take a seeded part of what there is as each split that is missing."""
    parts = dict(labels)
    if UNSPLIT not in parts and {"train", "val"} <= parts.keys():
        return parts, []
    whole_is = next(split for split in (UNSPLIT, "train", *parts) if split in parts)
    whole = usable.of(parts.pop(whole_is), whole_is)
    has_both = {"train", "val"} <= parts.keys()  # of another source, whose labels are split
    ratios = selection.ratios(SPLITS if has_both else [split for split in SPLITS if split not in parts])
    groups, notes = _groups(whole, selection)
    with usable.explaining():
        divided = split_images(whole.coco, ratios, selection.seed, groups)
    for split, part in _with_root(divided, whole).items():
        parts[split] = merge_labels([parts[split], part]) if split in parts else part
    absent = " and no ".join(split for split in divided if split != whole_is)
    missing = "no splits" if whole_is == UNSPLIT else f"no {absent}"
    what = "Of the sources, some" if whole_is == UNSPLIT and len(labels) > 1 else "The labels"
    counts = _counts(divided)
    notes.insert(0, f"{what} have {missing}: divided by seed {selection.seed} into {counts} (splits.json).")
    return parts, notes


def _groups(whole: Labels, selection: Selection) -> tuple[dict[str, str], list[str]]:
    """Return file name -> group that must not be divided, for the images that are in one; and notes about them."""
    groups = group_images(whole, selection.group_by)
    what = "look alike" if selection.group_by == SIMILAR else f"belong together by {selection.group_by}"
    sizes = Counter(groups.values())
    if not sizes or max(sizes.values()) == 1:
        return groups, []
    notes = [f"{plural(len(groups), 'image')} {what}, in {plural(len(sizes), 'group')}: each group stays in one split."]
    num_images = len(whole.coco["images"])
    if max(sizes.values()) > LARGE_GROUP * num_images:
        notes.append(
            f"One of these groups has {max(sizes.values())} of {plural(num_images, 'image')}: the splits cannot have "
            "the sizes that were asked for. dataset.group_by=null divides it."
        )
    return groups, notes


def _with_root(divided: Mapping[str, CocoDict], whole: Labels) -> dict[str, Labels]:
    return {split: Labels(coco, whole.image_root) for split, coco in divided.items()}


def _counts(divided: Mapping[str, CocoDict]) -> str:
    return ", ".join(f"{split} {len(coco['images'])}" for split, coco in divided.items())


def split_lists(
    given: Mapping[str, Labels], listed: Sequence[Labels], used: Mapping[str, Labels]
) -> dict[str, list[str]]:
    """Return the lists of ``dataset.splits_file``: file names, as paths from the folder that all images have in common.

    Args:
        given: split -> labels as they were read.
        listed: images that are named; those of them that are in no split are listed as unused.
        used: split -> its labels.
    """
    root = common_root([part.image_root for part in given.values()])
    lists = {split: _names_from(root, part) for split, part in used.items()}
    names = {name for part in listed for name in _names_from(root, part)}
    unused = sorted(names.difference(*lists.values()))
    return lists | ({UNUSED: unused} if unused else {})


def _names_from(root: Path, part: Labels) -> list[str]:
    prefix = prefix_from(root, part.image_root)
    return [prefix + image["file_name"] for image in part.coco["images"]]
