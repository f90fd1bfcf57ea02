"""Check of regions that are marked as crowd: by some tools all masks are that are no polygon."""

from __future__ import annotations

from instseg.auditing.report import AuditFinding, Severity, Spot
from instseg.auditing.tables import KEEP_CROWDS, Tables, crowds_per_category
from instseg.core.text import list_names

MANY_FRACTION = 0.2
"""Of the instances of a category: crowds are the exception."""


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
