"""Division of all labels into splits: as the labels say, by a seed, by folds, or as an earlier run wrote it down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.core.types import CocoDict
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.reading.labels import UNSPLIT, Labels
from instseg.data.splits.additions import check_some_left, join_train, set_apart
from instseg.data.splits.grouping import group_images
from instseg.data.splits.merge import merge_labels
from instseg.data.splits.name_groups import SIMILAR
from instseg.data.splits.ratio_and_folds import fold_images, split_images
from instseg.data.splits.selection import SPLITS, Selection
from instseg.data.splits.splits_file import UNUSED, apply_splits_file, listed_names

LARGE_GROUP = 1 / 3
"""Fraction of all images, from which a group makes the sizes of the splits lopsided; frames of a fixed camera do."""

Divided = tuple[dict[str, Labels], list[str]]
"""Split name -> labels, and what a user should know about how it came about."""


def divide(
    labels: Mapping[str, Labels],
    selection: Selection,
    findings: Mapping[str, Findings],
    corrected: Labels | None = None,
) -> Divided:
    """Divide into train and val at least, and test where there is one or its fraction is not 0.

    Predictions that nobody has changed, and corrected labels, join train after the others are divided.

    Args:
        labels: split, or ``UNSPLIT`` -> its labels.
        selection: the options of the division.
        findings: split -> where images that are left out are named.
        corrected: labels to join the others.

    Returns:
        Split -> its labels, and notes for the user.
    """
    if corrected and _lists_corrected(labels, corrected, selection):
        labels, corrected = {UNSPLIT: merge_labels([*labels.values(), corrected])}, None
    kept, predictions = set_apart(labels, selection, findings)
    check_some_left(kept, labels)
    added = list(predictions)
    if corrected:
        changed, unchanged = set_apart({"train": corrected}, selection, findings)
        added += [*changed.values(), *unchanged]
    try:
        parts, notes = _divided(kept, selection)
    except InstsegError as error:
        raise InstsegError(f"{error}{_besides(predictions)}") from error
    if added:
        parts, joined = join_train(parts, added, lambda whole: group_images(whole, selection.group_by), findings)
        notes += joined
    if "test" not in parts:
        notes.append("There is no test split: 'test' is the val images, and best.ckpt was chosen on them.")
    return {split: parts[split] for split in SPLITS if split in parts}, notes


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


def _divided(labels: Mapping[str, Labels], selection: Selection) -> Divided:
    """Divide all labels as the options say."""
    if selection.splits_file:
        return _as_written(labels, selection)
    if selection.folds:
        return _in_folds(labels, selection)
    return _by_ratio(labels, selection)


def _as_written(labels: Mapping[str, Labels], selection: Selection) -> Divided:
    whole = merge_labels(list(labels.values()))
    assert selection.splits_file is not None
    divided, notes = apply_splits_file(whole.coco, selection.splits_file)
    return _with_root(divided, whole), [f"Divided as {selection.splits_file} says.", *notes]


def _in_folds(labels: Mapping[str, Labels], selection: Selection) -> Divided:
    """Keep a test split as it is; divide everything else into folds, whatever it was before."""
    whole = merge_labels([part for split, part in labels.items() if split != "test"])
    assert selection.folds is not None
    groups, notes = _groups(whole, selection)
    divided = fold_images(whole.coco, selection.folds, selection.fold, selection.seed, groups)
    parts = _with_root(divided, whole) | {split: part for split, part in labels.items() if split == "test"}
    notes.insert(0, f"Fold {selection.fold} of {selection.folds} (seed {selection.seed}): {_counts(divided)}.")
    return parts, notes


def _by_ratio(labels: Mapping[str, Labels], selection: Selection) -> Divided:
    """Take a seeded part of what there is as each split that is missing."""
    parts = dict(labels)
    if UNSPLIT not in parts and {"train", "val"} <= parts.keys():
        return parts, []
    whole_is = next(split for split in (UNSPLIT, "train", *parts) if split in parts)
    whole = parts.pop(whole_is)
    has_both = {"train", "val"} <= parts.keys()  # of another source, whose labels are split
    ratios = selection.ratios(SPLITS if has_both else [split for split in SPLITS if split not in parts])
    groups, notes = _groups(whole, selection)
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


def file_names(parts: Mapping[str, Labels]) -> dict[str, list[str]]:
    """Return split -> its images, as paths from the folder that all have in common: what ``splits_file`` takes."""
    root = common_root([part.image_root for part in parts.values()])
    prefixes = {split: prefix_from(root, part.image_root) for split, part in parts.items()}
    return {split: [prefixes[split] + i["file_name"] for i in part.coco["images"]] for split, part in parts.items()}


def split_lists(listed: Mapping[str, list[str]], used: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the lists of ``dataset.splits_file``; images that are in no split are listed as unused.

    Args:
        listed: split -> all images that there are.
        used: split -> those of them that are used.
    """
    unused = sorted({name for names in listed.values() for name in names}.difference(*used.values()))
    return used | ({UNUSED: unused} if unused else {})
