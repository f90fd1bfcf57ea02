"""Section of the report with the confusion matrix, whose cells open their cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case, Cell, Kind
from instseg.analysis.page.content import Matrix, MatrixCell, MatrixRow, Section
from instseg.analysis.subject import Subject
from instseg.analysis.wording import shown_name
from instseg.core.text import plural
from instseg.evaluation.confusion import BACKGROUND, Confusion
from instseg.evaluation.estimates import Estimate
from instseg.evaluation.resampling import Weights

MAX_CATEGORIES = 30
"""Categories of the matrix; of more, those with the most mistakes."""
RIGHT, WRONG = "47, 111, 222", "255, 47, 146"  # RGB


def matrix_section(confusion: Confusion, categories: Sequence[str], drawn: Weights) -> Section:
    """Show what was found as what.

    Args:
        confusion: of the detections at the thresholds.
        categories: names of the labels 1….
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    names = ["nothing", *(shown_name(name) for name in categories)]
    matrix, labels = confusion.matrix, _labels(confusion.matrix)
    fractions = confusion.fractions(drawn, {BACKGROUND, *labels})
    columns = [*labels, BACKGROUND]
    rows = [
        MatrixRow(
            names[truth],
            [_cell(matrix, (truth, found), names, fractions.get((truth, found))) for found in columns],
            f"{int(matrix[truth].sum()):,}" if truth else "",
        )
        for truth in columns
    ]
    sums = [f"{int(matrix[:, found].sum()):,}" if found else "" for found in columns]
    explanation = (
        "Rows: what is labelled. Columns: what it was found as, at the thresholds in use. An object and a detection "
        "share a cell where their masks have an IoU of 0.5 or more. Each object and each detection is counted "
        "once, so rows add up to the labelled objects and columns to the detections. A click on a cell shows its "
        "cases, and the fraction of the labelled objects of its row with its 95 % interval."
    )
    if len(labels) < len(categories):
        explanation += f" Of {len(categories)} categories, the {len(labels)} with the most mistakes are shown."
    heads = [names[label] for label in columns]
    return Section("confusion", "What is taken for what", explanation, Matrix(heads, rows, sums))


def _labels(matrix: NDArray[np.int64]) -> list[int]:
    mistakes = (matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diagonal(matrix))[1:]
    return sorted((np.argsort(-mistakes, kind="stable")[:MAX_CATEGORIES] + 1).tolist())


def _cell(matrix: NDArray[np.int64], cell: Cell, names: Sequence[str], fraction: Estimate | None) -> MatrixCell:
    truth, found = cell
    count = int(matrix[truth, found])
    whole = int(matrix[truth].sum()) if truth else int(matrix[:, found].sum())
    strength = count / whole if whole else 0.0
    colour = f"rgba({RIGHT if truth == found else WRONG}, {0.08 + 0.6 * strength:.2f})" if count else ""
    key = "" if truth == found or not count else f"{truth}-{found}"
    of_row = f"; of all {names[truth]}, the fraction {fraction}" if fraction else ""
    return MatrixCell(count, f"{_title(cell, names, count)}{of_row}", colour, key)


def _title(cell: Cell, names: Sequence[str], count: int) -> str:
    truth, found = cell
    if truth == BACKGROUND:
        return f"{plural(count, 'detection')} of {names[found]} that match no object"
    if found == BACKGROUND:
        return f"{count:,} {names[truth]} not found"
    return f"{count:,} {names[truth]} found as {names[found]}"


def cases_of_cells(cases: Sequence[Case], subject: Subject) -> dict[Cell, list[Case]]:
    """Return cell -> its cases, in their order.

    Args:
        cases: of the subject.
        subject: what was evaluated.
    """
    cells: defaultdict[Cell, list[Case]] = defaultdict(list)
    for case in cases:
        truth_label, label = labels_of(case, subject)
        if case.kind == Kind.CONFUSED:
            cells[truth_label, label].append(case)
        if case.kind in (Kind.MISSED, Kind.BAD_MASK):
            cells[truth_label, BACKGROUND].append(case)
        if case.kind in (Kind.FALSE, Kind.BAD_MASK, Kind.REPEATED):
            cells[BACKGROUND, label].append(case)
    return cells


def cells_shown(cells: Mapping[Cell, list[Case]], matrix: NDArray[np.int64]) -> dict[Cell, list[Case]]:
    """Return those of the cells that the page has: of many categories not all are shown.

    Args:
        cells: cell -> its cases.
        matrix: (C + 1, C + 1) as in ``Confusion``.
    """
    labels = {BACKGROUND, *_labels(matrix)}
    return {cell: cases for cell, cases in cells.items() if labels.issuperset(cell)}


def labels_of(case: Case, subject: Subject) -> Cell:
    """Return the labels of the object and of the detection of a case.

    Args:
        case: of the subject.
        subject: what was evaluated.
    """
    truth, prediction = subject.evaluated.truths[case.image], subject.evaluated.predictions[case.image]
    return (
        BACKGROUND if case.truth is None else int(truth.labels[case.truth]),
        BACKGROUND if case.detection is None else int(prediction.labels[case.detection]),
    )
