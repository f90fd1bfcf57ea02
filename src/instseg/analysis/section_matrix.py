"""Section of the report with the confusion matrix, whose cells open their cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from instseg.analysis.cases import Case, Kind
from instseg.analysis.counts import BACKGROUND, Cell, Counts, cell_of
from instseg.analysis.page.content import Matrix, MatrixCell, MatrixRow, Section
from instseg.analysis.subject import Subject
from instseg.core.text import plural, visible

MAX_CATEGORIES = 30
"""Categories of the matrix; of more, those with the most mistakes."""
RIGHT, WRONG = "47, 111, 222", "255, 47, 146"  # RGB


def matrix_section(subject: Subject, counts: Counts) -> Section:
    """Show what was found as what at the thresholds in use.

    Args:
        subject: what was evaluated.
        counts: at the thresholds in use.
    """
    names = [*(visible(name) for name in subject.evaluated.categories.names)]
    labels = _labels(counts)
    columns = [*labels, BACKGROUND]
    rows = [
        MatrixRow(
            "nothing" if truth == BACKGROUND else names[truth - 1],
            [_cell(counts, (truth, found), names) for found in columns],
            f"{int(counts.matrix[truth].sum()):,}" if truth else "",
        )
        for truth in (*labels, BACKGROUND)
    ]
    sums = [f"{int(counts.matrix[:, found].sum()):,}" if found else "" for found in columns]
    explanation = (
        "Rows: what is labelled. Columns: what it was found as, at the thresholds in use. An object and a detection "
        "share a cell where their masks have an IoU of 0.5. Each object and each detection is counted once, so rows "
        "add up to the labelled objects and columns to the detections. A click on a cell shows its cases."
    )
    if len(labels) < len(names):
        explanation += f" Of {len(names)} categories, the {len(labels)} with the most mistakes are shown."
    heads = [*(names[label - 1] for label in labels), "nothing"]
    return Section("confusion", "What is taken for what", explanation, Matrix(heads, rows, sums))


def _labels(counts: Counts) -> list[int]:
    mistakes = counts.present + counts.detected - 2 * counts.found
    return sorted((np.argsort(-mistakes, kind="stable")[:MAX_CATEGORIES] + 1).tolist())


def _cell(counts: Counts, cell: Cell, names: Sequence[str]) -> MatrixCell:
    truth, found = cell
    count = int(counts.matrix[truth, found])
    whole = int(counts.matrix[truth].sum()) if truth else int(counts.matrix[:, found].sum())
    strength = count / whole if whole else 0.0
    colour = f"rgba({RIGHT if truth == found else WRONG}, {0.08 + 0.6 * strength:.2f})" if count else ""
    title = _title(truth and names[truth - 1], found and names[found - 1], count)
    return MatrixCell(count, title, colour, "" if truth == found or not count else f"{truth}-{found}")


def _title(truth: str | int, found: str | int, count: int) -> str:
    if not truth:
        return f"{plural(count, 'detection')} of {found} where no {found} is labelled"
    if not found:
        return f"{count} {truth} not found"
    return f"{count} {truth} found as {found}"


def cases_of_cells(cases: Sequence[Case], subject: Subject) -> dict[Cell, list[Case]]:
    """Return cell -> its cases, in their order.

    Args:
        cases: of the subject.
        subject: what was evaluated.
    """
    cells: defaultdict[Cell, list[Case]] = defaultdict(list)
    for case in cases:
        image = subject.evaluated.predictions[case.image], subject.evaluated.truths[case.image]
        if case.kind in (Kind.MISSED, Kind.BAD_MASK):
            cells[cell_of(*image, None, case.truth)].append(case)
        if case.kind != Kind.MISSED:
            cells[cell_of(*image, case.detection, case.truth if case.kind == Kind.CONFUSED else None)].append(case)
    return cells
