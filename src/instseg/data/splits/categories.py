"""The categories of all splits, joined by name where each split lists its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from instseg.core.categories import Categories, select_names
from instseg.core.errors import InstsegError
from instseg.core.types import CocoCategory, CocoDict
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels
from instseg.data.splits.select import check_known
from instseg.data.splits.selection import Selection


def joined_categories(
    parts: Mapping[str, Labels], wanted: tuple[str, ...] | None, findings: Mapping[str, Findings]
) -> tuple[dict[str, Labels], Categories]:
    """Return the splits, each listing the categories of all, and the chosen ones: those of train first.

    Args:
        parts: split -> its labels.
        wanted: names to choose, in their order; None for all.
        findings: split -> where the categories are noted that it does not list.

    Raises:
        InstsegError: a wanted name is in no split, or there is no category.
    """
    names = {split: dict.fromkeys(c["name"] for c in part.coco["categories"]) for split, part in parts.items()}
    first = sorted(names, key=lambda split: split != "train")
    everything = tuple(dict.fromkeys(name for split in first for name in names[split]))
    chosen = Categories(select_names(everything, wanted, "dataset.categories"))
    if not chosen.names:
        raise InstsegError("split train: its list of categories is empty")
    joined = {}
    for split, part in parts.items():
        missing = [name for name in chosen.names if name not in names[split]]
        for name in missing:
            findings[split].add("category_unlisted", f"{name} ({split} does not list it)")
        joined[split] = Labels(_with_names(part.coco, missing), part.image_root) if missing else part
    return joined, chosen


def unlabelled_by(
    labelled: Mapping[str, tuple[str, ...]],
    cocos: Iterable[CocoDict],
    categories: Categories,
    selection: Selection,
) -> dict[str, tuple[int, ...]]:
    """Return name of a source -> labels of the categories that it has not labelled completely.

    A category that others were renamed to is labelled where it is named itself, or all of these are.

    Args:
        labelled: name of a source -> categories that it has labelled completely, by their old or new names.
        cocos: all labels, renamed.
        categories: the chosen ones.
        selection: with the new names.

    Raises:
        InstsegError: there is no such category.
    """
    rename = selection.rename or {}
    known = {category["name"] for coco in cocos for category in coco["categories"]}
    for source, names in labelled.items():
        check_known(names, [*known, *rename, *(selection.drop or ())], f"dataset.sources.{source}.labels")
    old = {name: {before for before, after in rename.items() if after == name} for name in categories.names}
    return {
        source: tuple(
            label
            for label, name in enumerate(categories.names, start=1)
            if name not in names and not (old[name] and old[name] <= set(names))
        )
        for source, names in labelled.items()
    }


def _with_names(coco: CocoDict, missing: list[str]) -> CocoDict:
    free = max((category["id"] for category in coco["categories"]), default=0) + 1
    added: list[CocoCategory] = [{"id": free + n, "name": name} for n, name in enumerate(missing)]
    return {**coco, "categories": [*coco["categories"], *added]}
