"""Sections of a comparison: the runs, the differences in each category, and those in parts of the instances."""

from __future__ import annotations

import math
from collections.abc import Sequence

from instseg.analysis.compared_run import ComparedRun
from instseg.analysis.difference_chart import Row, difference_chart, signed
from instseg.analysis.difference_numbers import Differences
from instseg.analysis.page.content import Chart, Charts, Section, Table, TableCell
from instseg.analysis.section_table import cell
from instseg.analysis.wording import shown_name
from instseg.core.text import cut, visible
from instseg.evaluation.estimates import Estimate
from instseg.evaluation.paired import Paired, is_clear

MAX_DRAWN = 30
"""Categories in the chart: those with the most instances."""
MAX_SETTINGS = 300


def run_section(runs: Sequence[ComparedRun], differences: Differences) -> Section:
    """Show the runs as a whole.

    Args:
        runs: the first is what all others are compared with.
        differences: of them.
    """
    columns = {
        "mask AP": differences.ap,
        "AP at IoU 0.50": differences.ap50,
        "objects found": differences.recall,
        "detections right": differences.precision,
    }
    rows = [
        [
            TableCell(f"{run.letter}: {visible(run.names.title)}", run.letter, _settings(run), href=run.names.report),
            *(_with_difference(column, place) for column in columns.values()),
        ]
        for place, run in enumerate(runs)
    ]
    explanation = (
        "Objects found: the fraction of the labelled objects that is found under its category at the thresholds of the "
        "run; detections right: the fraction of its detections that is. Differences are to the first run, on the same "
        "images drawn again and again, with their 95 % interval; one that leaves out 0 is coloured, here and below. "
        "Each interval holds by itself: of twenty, one leaves out 0 by chance."
    )
    return Section("runs", "The runs", explanation, Table(["run", *columns], rows))


def _settings(run: ComparedRun) -> str:
    return visible(cut(run.names.settings, MAX_SETTINGS))


def _with_difference(column: Paired, place: int) -> TableCell:
    """Return the cell of a number of a run; of all but the first, with its difference to the first."""
    number = cell(column.values[place])
    if not place:
        return number
    difference = difference_cell(column.differences[place - 1])
    note = " ".join(text for text in (difference.text, difference.note and f"({difference.note})") if text)
    return TableCell(number.text, number.value, note, mark=difference.mark)


def difference_cell(difference: Estimate) -> TableCell:
    """Return the cell of a difference, with its sign and interval; a dash where it is undefined."""
    if math.isnan(difference.value):
        return TableCell("–", "-inf")
    note = "" if math.isnan(difference.low) else f"{signed(difference.low)} to {signed(difference.high)}"
    mark = ("better" if difference.value > 0 else "worse") if is_clear(difference) else ""
    return TableCell(signed(difference.value), difference.value, note, mark=mark)


def category_differences(runs: Sequence[ComparedRun], differences: Differences) -> list[Section]:
    """Show AP and F1 of each category.

    Args:
        runs: the first is what all others are compared with.
        differences: of them.
    """
    heads = ["category", "objects", *_heads(runs, "AP"), *_heads(runs, "F1")]
    rows = [
        [TableCell(shown_name(one.name), shown_name(one.name)), TableCell(f"{one.num_instances:,}", one.num_instances),
         *_cells(one.ap), *_cells(one.f1)]
        for one in differences.categories
    ]  # fmt: skip
    explanation = "Mask AP, and F1 at the thresholds of each run. A click on a head sorts."
    return [
        _chart_section(runs, differences),
        Section("categories", "Each category", explanation, Table(heads, rows)),
    ]


def _heads(runs: Sequence[ComparedRun], number: str) -> list[str]:
    first, *others = (run.letter for run in runs)
    return [*(f"{number} {run.letter}" for run in runs), *(f"{other} − {first}" for other in others)]


def _cells(numbers: Paired) -> list[TableCell]:
    values = (TableCell(one.text, one.value) for one in map(cell, numbers.values))
    return [*values, *map(difference_cell, numbers.differences)]


def _chart_section(runs: Sequence[ComparedRun], differences: Differences) -> Section:
    largest = sorted(differences.categories, key=lambda one: -one.num_instances)[:MAX_DRAWN]
    charts = []
    for place, run in enumerate(runs[1:]):
        rows = [Row("all", differences.ap.differences[place])]
        rows += [Row(shown_name(one.name), one.ap.differences[place]) for one in largest if one.num_instances]
        charts.append(Chart(f"{run.letter} − {runs[0].letter}, mask AP", difference_chart(rows)))
    explanation = "Right of the line the run is better than the first, left of it worse; lines are 95 % intervals."
    if len(largest) < len(differences.categories):
        explanation += f" The {len(largest)} categories with the most objects are drawn."
    return Section("differences", "Better or worse", explanation, Charts(charts))


def part_differences(runs: Sequence[ComparedRun], differences: Differences) -> Section:
    """Show AP by size, by crowding and at the border.

    Args:
        runs: the first is what all others are compared with.
        differences: of them.
    """
    heads = ["objects", "number", *_heads(runs, "AP")]
    rows = [
        [TableCell(f"{one.grouping}: {one.name}", f"{place:03}"),
         TableCell(f"{one.num_instances:,}", one.num_instances), *_cells(one.ap)]
        for place, one in enumerate(differences.parts)
    ]  # fmt: skip
    explanation = (
        "Mask AP of some of the objects, where all others are ignored. Sizes divide the objects here into quarters, or "
        "fewer parts where many are alike."
    )
    return Section("breakdowns", "Which objects", explanation, Table(heads, rows))
