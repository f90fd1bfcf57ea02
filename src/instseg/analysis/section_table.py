"""Section of the report with a row for each category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from instseg.analysis.page.content import Section, Table, TableCell
from instseg.analysis.wording import shown_name
from instseg.core.categories import Categories
from instseg.evaluation.estimates import Estimate

HEADS = ["category", "objects", "mask AP", "threshold", "precision", "recall", "F1", "mask IoU"]


@dataclass(frozen=True, slots=True)
class Row:
    """Numbers of a category."""

    num_objects: int
    ap: Estimate
    threshold: float
    precision: Estimate
    recall: Estimate
    f1: Estimate
    mask_iou: Estimate
    """Mean of what is found."""


def category_section(categories: Categories, rows: Sequence[Row]) -> Section:
    """Show AP, and precision and recall at the threshold, of each category, with their intervals.

    Args:
        categories: names of the labels 1….
        rows: of each.
    """
    cells = [[TableCell(shown_name(name), shown_name(name)), *_cells(row)]
             for name, row in zip(categories.names, rows, strict=True)]  # fmt: skip
    explanation = (
        "Precision is the fraction of the detections that is right, recall the fraction of the objects that is found, "
        "F1 their harmonic mean, all at the threshold: the least score that counts. Mask IoU is that of found objects. "
        "Small numbers are 95 % intervals. A click on a head sorts."
    )
    return Section("categories", "Each category", explanation, Table(HEADS, cells))


def _cells(row: Row) -> list[TableCell]:
    numbers = (row.precision, row.recall, row.f1, row.mask_iou)
    threshold = TableCell(f"{row.threshold:.2f}", row.threshold)
    return [TableCell(f"{row.num_objects:,}", row.num_objects), cell(row.ap), threshold, *map(cell, numbers)]


def cell(estimate: Estimate) -> TableCell:
    """Return the cell of a number with its interval; a dash where it is undefined, below all others."""
    if math.isnan(estimate.value):
        return TableCell("–", -1.0)
    note = "" if math.isnan(estimate.low) else f"{estimate.low:.2f}–{estimate.high:.2f}"
    return TableCell(f"{estimate.value:.3f}", estimate.value, note)
