"""Checks that every split holds enough of every category to learn and to measure it."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from instseg.auditing.report import AuditFinding, Severity, Spot
from instseg.auditing.tables import KEEP_CROWDS, SplitTable, Tables, crowds_per_category
from instseg.core.shell_overrides import override, sayable
from instseg.core.text import list_names, plural, without_hidden
from instseg.evaluation.chance import how_uncertain

FEW_TRAINING_INSTANCES = 10
TOO_FEW_IMAGES, FEW_IMAGES = 50, 200
MANY_EMPTY_FRACTION = 0.5
NUM_FOLDS = 5
CLOSE = 0.8  # similarity of two names, of which one is probably the other misspelt
MAX_COMPARED = 300_000  # pairs of names, seconds; where there are more, nobody has typed them


def split_findings(tables: Tables) -> list[AuditFinding]:
    """Run all checks of the splits."""
    return [
        *no_instances(tables),
        *similar_names(tables),
        *absent_categories(tables),
        *rare_categories(tables),
        *few_images(tables),
        *many_empty_images(tables),
    ]


def no_instances(tables: Tables) -> list[AuditFinding]:
    """Report splits without an instance; fatal in train and val: nothing is learnt, and no checkpoint is best."""
    found = []
    for split, table in tables.items():
        if len(table.rows) == 0:
            severity = Severity.WARNING if split == "test" else Severity.FATAL
            spots = tuple(table.image_spot(image) for image in range(min(3, len(table.index))))
            title = f"images of {split}, of which not one has an instance"
            advice = "Check the labels, and dataset.categories and dataset.drop where they are given."
            if table.num_crowds:
                advice = f"{plural(table.num_crowds, 'region')} there are marked as crowd: {KEEP_CROWDS} keeps them."
            counts = {split: len(table.index)}
            found.append(AuditFinding(f"no_instances_{split}", severity, title, counts, spots, advice))
    return found


def absent_categories(tables: Tables) -> list[AuditFinding]:
    """Report categories without an instance in a split that has others, unless they are to be renamed first."""
    found, to_rename = [], _to_rename(tables)
    for split, table in tables.items():
        absent = [
            n for n, count in zip(_names(table), table.per_category, strict=True) if count == 0 and n not in to_rename
        ]
        if absent and len(absent) < len(_names(table)):
            found.append(_absent(tables, split, absent))
    return found


def _absent(tables: Tables, split: str, names: list[str]) -> AuditFinding:
    if split == "train":
        severity = Severity.WARNING
        advice = "They cannot be learnt. Rename those that are misspelt, label some, or leave them out."
        commands: tuple[str, ...] = (*renamings(tables, names), override("dataset.drop", names))
        if only_crowds := sorted(set(names) & crowds_per_category(tables).keys()):
            advice = f"All regions of {list_names(only_crowds)} are marked as crowd: keep them as instances."
            commands = (KEEP_CROWDS,)
    else:
        severity = Severity.WARNING if split == "val" else Severity.INFO
        advice = f"{split.capitalize()} tells nothing about them: split the images again, or label more."
        commands = first_fold(tables) if split == "val" else ()
    spots = tuple(category_spot(tables, split, name) for name in names)
    title = f"categories without an instance in {split}"
    return AuditFinding(f"category_absent_{split}", severity, title, {split: len(names)}, spots, advice, commands)


def rare_categories(tables: Tables) -> list[AuditFinding]:
    """Report categories with a handful of training instances, unless they are to be renamed first."""
    if "train" not in tables:
        return []
    counts = dict(zip(_names(tables["train"]), tables["train"].per_category.tolist(), strict=True))
    few = [name for name in sorted(counts, key=counts.__getitem__) if 0 < counts[name] < FEW_TRAINING_INSTANCES]
    to_rename = _to_rename(tables)
    rare = [name for name in few if name not in to_rename]
    if not rare:
        return []
    spots = tuple(category_spot(tables, "train", name, plural(counts[name], "instance")) for name in rare)
    title = f"categories with fewer than {FEW_TRAINING_INSTANCES} training instances"
    advice = "Label more of them, join them with a similar category by dataset.rename, or leave them out."
    are_rare = set(rare)
    kept = [name for name, count in counts.items() if count and name not in are_rare]
    shorter = override("dataset.drop", rare) if len(rare) <= len(kept) else override("dataset.categories", kept)
    commands = (*renamings(tables, rare), *((shorter,) if kept else ()))
    return [AuditFinding("category_rare", Severity.WARNING, title, {"train": len(rare)}, spots, advice, commands)]


def renamings(tables: Tables, names: Sequence[str]) -> tuple[str, ...]:
    """Return the override that renames categories which look like a misspelt other one; none where none does.

    Args:
        tables: of all splits.
        names: of categories with few instances or none.
    """
    total = _totals(tables)
    used = [name for name in total if total[name]]
    rename: dict[str, str] = {}
    if len(names) * len(used) > MAX_COMPARED:
        return ()
    for name in filter(sayable, names):
        larger = [other for other in used if (total[other], other) > (total[name], name)]
        if close := difflib.get_close_matches(name, larger, n=1, cutoff=CLOSE):
            rename[name] = close[0]
    return (override("dataset.rename", rename),) if rename else ()


def _totals(tables: Tables) -> dict[str, int]:
    """Return category -> its instances in all splits."""
    total: defaultdict[str, int] = defaultdict(int)
    for table in tables.values():
        for name, count in zip(_names(table), table.per_category.tolist(), strict=True):
            total[name] += count
    return total


def _alike(tables: Tables) -> list[list[str]]:
    """Return the groups of names that differ only in case, spaces, hyphens or what no eye sees, most frequent first."""
    total = _totals(tables)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(total, key=lambda name: (-total[name], name)):
        groups[re.sub(r"[\s_-]+", "", without_hidden(name)).casefold()].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _to_rename(tables: Tables) -> set[str]:
    return {name for group in _alike(tables) for name in group}


def similar_names(tables: Tables) -> list[AuditFinding]:
    """Report categories whose names differ only in case, spaces, hyphens, underscores or what no eye sees."""
    total, alike = _totals(tables), _alike(tables)
    if not alike:
        return []
    new_names = {group[0]: without_hidden(group[0]).strip() for group in alike}
    rename = {name: new_names[group[0]] for group in alike for name in group if name != new_names[group[0]]}
    names = [name for group in alike for name in group]
    spots = tuple(category_spot(tables, "train", name, plural(total[name], "instance")) for name in names)
    advice = "They are probably one category: join them under one name."
    counts = {"train": len(spots)}
    return [
        AuditFinding(
            "category_names_similar",
            Severity.WARNING,
            "categories that differ only in case, spaces, hyphens or invisible characters",
            counts,
            spots,
            advice + _by_hand(rename),
            (override("dataset.rename", rename),) if all(map(sayable, rename)) else (),
        )
    ]


def _by_hand(rename: Mapping[str, str]) -> str:
    """Write the setting for a file, for names that no command line can hold."""
    if all(map(sayable, rename)):
        return ""
    mapping = ", ".join(f"{old!r}: {new!r}" for old, new in rename.items())
    return f" In a file conf/dataset/<name>.yaml: rename: {{{mapping}}}"


def few_images(tables: Tables) -> list[AuditFinding]:
    """Report splits whose metrics are uncertain."""
    few = {split: len(tables[split].index) for split in ("val", "test") if split in tables}
    few = {split: count for split, count in few.items() if count < FEW_IMAGES}
    if not few:
        return []
    fewest = min(few.values())
    severity = Severity.WARNING if fewest < TOO_FEW_IMAGES else Severity.INFO
    title = f"images to measure on, which are few ({', '.join(f'{split} {count}' for split, count in few.items())})"
    advice = f"{how_uncertain(fewest)} Cross-validation measures on every image once."
    return [AuditFinding("few_images", severity, title, few, (), advice, kfold(tables))]


def first_fold(tables: Tables) -> tuple[str, ...]:
    """Return the overrides that divide train and val anew, where there are enough images to split."""
    num_images = sum(len(table.index) for table in tables.values())
    return (f"dataset.folds={NUM_FOLDS} dataset.fold=0",) if num_images >= 2 * NUM_FOLDS else ()


def kfold(tables: Tables) -> tuple[str, ...]:
    """Return the override that trains once for every fold, where there are enough images to split."""
    return ("sweep=kfold",) if first_fold(tables) else ()


def many_empty_images(tables: Tables) -> list[AuditFinding]:
    """Report a majority of images without instances, which teach the background but cost as much as the others."""
    if "train" not in tables:
        return []
    per_image = tables["train"].per_image
    empty = [image for image, count in enumerate(per_image.tolist()) if count == 0]
    if len(empty) <= MANY_EMPTY_FRACTION * len(per_image) or len(empty) == len(per_image):
        return []
    spots = tuple(tables["train"].image_spot(image) for image in empty[:100])
    title = "training images without an instance, more than half of them"
    advice = "If that is not on purpose, take at most as many of them as there are images with instances."
    counts = {"train": len(empty)}
    return [AuditFinding("images_empty", Severity.INFO, title, counts, spots, advice, ("dataset.empty_ratio=1.0",))]


def category_spot(tables: Tables, split: str, name: str, detail: str = "") -> Spot:
    """Describe a category, with an instance to show: of the split, else of any other that has one.

    Args:
        tables: of all splits.
        split: the split in question.
        name: of the category.
        detail: what is wrong.
    """
    for candidate in sorted(tables, key=lambda other: other != split):
        table = tables[candidate]
        examples = np.flatnonzero(table.labels == table.index.categories.label(name))
        if len(examples):
            return replace(table.instance_spot(int(examples[0]), detail), name=name)
    return Spot(split, name, detail)


def _names(table: SplitTable) -> tuple[str, ...]:
    return table.index.categories.names
