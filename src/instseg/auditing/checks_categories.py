"""Checks of whole categories: regions marked as crowd, names that count objects, and what a source never labels."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from instseg.auditing.report import AuditFinding, Severity, Spot
from instseg.auditing.tables import KEEP_CROWDS, Tables, crowds_per_category
from instseg.core.shell_overrides import PLAIN, override, sayable
from instseg.core.text import list_names

NUMBERED = re.compile(r"(?P<base>.*[^\W\d_])[\s_.#-]*\(?(?P<number>\d{1,3})\)?")
ORDINARY = frozenset({"class", "category", "label", "type", "grade", "level", "stage", "model", "group", "phase"})
"""Words before a number that is a name: of these, nobody counts objects."""
MANY_FRACTION = 0.2
"""Of the instances of a category, from which on regions marked as crowd are no exception."""
MIN_EXPECTED = 7.0
"""Images with a category that a source should have by the frequency in others, from which none is no chance: 1/1000."""
MAX_SOURCES = 4
"""Declarations of a finding."""
MAX_REPEATED_FRACTION = 0.05
"""Of the labels of an image that stand for several of its instances; numbers that count objects stand for one."""


def category_findings(tables: Tables) -> list[AuditFinding]:
    """Run the checks."""
    return [*crowds(tables), *numbered_names(tables), *never_labelled(tables)]


def crowds(tables: Tables) -> list[AuditFinding]:
    """Report regions marked as crowd: a warning where they are too many of a category to be crowds."""
    counts = {split: table.num_crowds for split, table in tables.items() if table.num_crowds}
    if not counts:
        return []
    marked = crowds_per_category(tables)
    worst = sorted(marked, key=lambda name: marked[name][0] / marked[name][1], reverse=True)
    spots = tuple(Spot(next(iter(counts)), name, "{} of {} are marked".format(*marked[name])) for name in worst)
    many = any(crowd > MANY_FRACTION * number for crowd, number in marked.values())
    advice = "They are neither trained on nor scored."
    if many:
        advice += " Some tools mark every mask that is no polygon so: if they are ordinary objects, keep them."
    severity = Severity.WARNING if many else Severity.INFO
    title = f"regions marked as crowd (iscrowd 1): {list_names(f'{name} {marked[name][0]}' for name in worst)}"
    return [AuditFinding("crowd_ignored", severity, title, counts, spots, advice, (KEEP_CROWDS,) if many else ())]


def numbered_names(tables: Tables) -> list[AuditFinding]:
    """Report categories such as cow-1 and cow-2 that are never several in an image, with the renaming."""
    names = next(iter(tables.values())).index.categories.names if tables else ()
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if (found := NUMBERED.fullmatch(name.strip())) and found["base"].casefold() not in ORDINARY:
            groups[found["base"]].append(name)
    rename = {
        name: base for base, some in groups.items() if len(some) > 1 and _count_objects(tables, some) for name in some
    }
    if not rename:
        return []
    title = f"categories that differ in a number only: {', '.join(rename)}"
    advice = "If the numbers count the objects of an image, they are one category."
    commands = (override("dataset.rename", rename),) if all(map(sayable, rename)) else ()
    counts = {next(iter(tables)): len(rename)}
    return [AuditFinding("category_names_numbered", Severity.WARNING, title, counts, (), advice, commands)]


def never_labelled(tables: Tables) -> list[AuditFinding]:
    """Report categories of which a source has none where others let expect many, with the declaration."""
    names = next(iter(tables.values())).index.categories.names if tables else ()
    absent = {
        source: [name for name, is_absent in zip(names, flags, strict=True) if is_absent]
        for source, flags in _surprisingly_absent(tables).items()
    }
    absent = {source: missing for source, missing in absent.items() if missing}
    if not absent:
        return []
    said = "; ".join(f"{list_names(missing)} in {source}" for source, missing in absent.items())
    commands = [
        override(f"+dataset.sources.{source}.labels", [name for name in names if name not in missing])
        for source, missing in absent.items()
        if PLAIN.fullmatch(source)
    ]
    title = f"categories of other sources that a source has none of: {said}"
    advice = "If its images show some that nobody labelled, say what it labels completely: others are no background."
    counts = {next(iter(tables)): sum(map(len, absent.values()))}
    declarations = tuple(commands[:MAX_SOURCES])
    return [AuditFinding("category_never_labelled", Severity.WARNING, title, counts, (), advice, declarations)]


def _surprisingly_absent(tables: Tables) -> dict[str, NDArray[np.bool_]]:
    """Return name of a source -> (C,) whether it has none of a category that it should have, undeclared."""
    images: Counter[str] = Counter()
    occupied: defaultdict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(1, np.int64))
    declared: dict[str, tuple[int, ...]] = {}
    for table in tables.values():
        sources, has_category = table.index.column("sources")[table.index.rows], table.index.has_category()
        for place, source in enumerate(table.index.sources):
            images[source.name] += int((sources == place).sum())
            occupied[source.name] = occupied[source.name] + has_category[sources == place].sum(axis=0)
            declared[source.name] = source.unlabelled
    total, of_all = images.total(), sum(occupied.values(), np.zeros(1, np.int64))
    found = {}
    for name, count in images.items():
        expected = of_all * count / max(total - count, 1)  # where the source has none, all are of others
        found[name] = (occupied[name] == 0) & (expected >= MIN_EXPECTED)
        found[name][[label - 1 for label in declared[name]]] = False
    return found


def _count_objects(tables: Tables, names: list[str]) -> bool:
    """Tell whether each of the names stands for one instance of an image, and some image has several of the names."""
    repeated, pairs, together = 0, 0, False
    for table in tables.values():
        wanted = np.isin(table.labels, [table.index.categories.label(name) for name in names])
        images, labels = table.images[wanted], table.labels[wanted]
        _, counts = np.unique(np.stack([images, labels]), axis=1, return_counts=True)
        repeated, pairs = repeated + int((counts > 1).sum()), pairs + len(counts)
        together = together or len(counts) > len(np.unique(images))
    return together and repeated <= MAX_REPEATED_FRACTION * pairs
