"""Images that join train once the others are divided: corrected ones, and predictions that nobody has changed.

Neither moves an image between the splits, so that metrics of val and test compare with those of earlier runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.core.types import CocoImage
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels
from instseg.data.splits.merge import merge_labels, same_categories
from instseg.data.splits.select import select_images
from instseg.data.splits.selection import Selection

MEASURED = ("val", "test")


def set_apart(
    labels: Mapping[str, Labels], selection: Selection, findings: Mapping[str, Findings]
) -> tuple[dict[str, Labels], list[Labels]]:
    """Take out the predictions that nobody has changed, unless they may be in any split.

    Args:
        labels: split -> its labels.
        selection: says where predictions may be; a splits file that lists them says so too.
        findings: split -> where they are named.

    Returns:
        The labels without them, and those of them that are to join train.
    """
    kept: dict[str, Labels] = {}
    apart: list[Labels] = []
    for split, part in labels.items():
        predicted = [image for image in part.coco["images"] if image.get("is_prediction")]
        kind = _kind(split, selection)
        for image in predicted:
            findings[split].add(kind, image["file_name"])
        if predicted and kind != "prediction_in_any":
            part, taken = _without_and_only(part, predicted)
            apart += [taken] if kind == "prediction_in_train" else []
        if part.coco["images"]:
            kept[split] = part
    return kept, apart


def _kind(split: str, selection: Selection) -> str:
    if selection.predictions == "any" or selection.splits_file:
        return "prediction_in_any"
    if selection.predictions == "leave_out":
        return "prediction_left_out"
    return "prediction_measured" if split in MEASURED else "prediction_in_train"


def _without_and_only(part: Labels, some: Sequence[CocoImage]) -> tuple[Labels, Labels]:
    """Return the labels of the other images, and of these."""
    ids = {image["id"] for image in some}
    others = [image["id"] for image in part.coco["images"] if image["id"] not in ids]
    return Labels(select_images(part.coco, others), part.image_root), Labels(
        select_images(part.coco, ids), part.image_root
    )


def check_some_left(kept: Mapping[str, Labels], labels: Mapping[str, Labels]) -> None:
    """Check that something is left that is no prediction.

    Args:
        kept: split -> its labels without the predictions.
        labels: split -> all of its labels.

    Raises:
        InstsegError: nothing is.
    """
    if not kept:
        num_images = sum(len(part.coco["images"]) for part in labels.values())
        raise InstsegError(
            f"all labels are predictions that nobody has changed, of {plural(num_images, 'image')}: there is nothing "
            "to measure on. Correct some of them, or take them as they are with dataset.predictions=any"
        )


def join_train(
    parts: Mapping[str, Labels],
    added: Sequence[Labels],
    groups_of: Callable[[Labels], Mapping[str, str]],
    findings: Mapping[str, Findings],
) -> tuple[dict[str, Labels], list[str]]:
    """Add images to train, without those that belong together with an image of val or test.

    Args:
        parts: split -> its labels.
        added: the images, with the labels.
        groups_of: returns file name -> group of the images that belong together.
        findings: split -> where those left out are named.

    Returns:
        Split -> its labels, all with the same categories; and notes for the user.
    """
    extra = merge_labels(added)
    alike = _resembling(parts, extra, groups_of)
    for image, other in alike:
        findings["train"].add("resembles_measured", f"{image['file_name']} (like {other})")
    rest, _ = _without_and_only(extra, [image for image, _ in alike])
    names = {split: {category["name"] for category in part.coco["categories"]} for split, part in parts.items()}
    new = {category["name"] for category in rest.coco["categories"]} - names["train"]
    joined = {**parts, "train": merge_labels([parts["train"], rest])}
    note = f"{plural(len(rest.coco['images']), 'image')} joined train, after the others were divided."
    return same_categories(joined) if new else joined, [note, *_notes_on_categories(new)]


def _resembling(
    parts: Mapping[str, Labels], extra: Labels, groups_of: Callable[[Labels], Mapping[str, str]]
) -> list[tuple[CocoImage, str]]:
    """Return the images to add that are of one group with an image of val or test, and the name of that image."""
    measured = [parts[split] for split in MEASURED if split in parts]
    whole = merge_labels([extra, *measured, *(part for split, part in parts.items() if split not in MEASURED)])
    names = [image["file_name"] for image in whole.coco["images"]]
    groups = groups_of(whole)
    num_extra, num_measured = len(extra.coco["images"]), sum(len(part.coco["images"]) for part in measured)
    first: dict[str, str] = {}
    for name in names[num_extra : num_extra + num_measured]:
        if name in groups:
            first.setdefault(groups[name], name)
    pairs = zip(extra.coco["images"], names[:num_extra], strict=True)
    return [(image, first[groups[name]]) for image, name in pairs if groups.get(name) in first]


def _notes_on_categories(new: set[str]) -> list[str]:
    if not new:
        return []
    return [
        f"Categories that only the images added to train have: {list_names(sorted(new))}. Where one is misspelt: "
        "dataset.rename={wrong: right}."
    ]
